"""Losses: InfoNCE, its similarities, and the views of a batch that every loss reads."""

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
from benchmark.losses.views import Views

__all__ = [
    "CosineSimilarity",
    "DotSimilarity",
    "LpSimilarity",
    "Similarity",
    "Terms",
    "Views",
    "info_nce",
    "info_nce_terms",
    "symmetric_info_nce",
    "symmetric_terms",
]
