"""Contrastive losses: InfoNCE, and the similarities that define a model's conditional."""

from benchmark.losses.contrastive import (
    Terms,
    info_nce,
    info_nce_terms,
    symmetric_info_nce,
    symmetric_terms,
)
from benchmark.losses.similarities import (
    CosineSimilarity,
    DotSimilarity,
    LpSimilarity,
    Similarity,
)

__all__ = [
    "CosineSimilarity",
    "DotSimilarity",
    "LpSimilarity",
    "Similarity",
    "Terms",
    "info_nce",
    "info_nce_terms",
    "symmetric_info_nce",
    "symmetric_terms",
]
