"""3DIdent: images of a teapot under a spotlight with ten known factors of variation.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann, Sharma, Schneider,
    Bethge, Brendel, 2021, https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

import sys
from importlib import import_module

from threedident.runtime.packages import Ours as _Ours
from threedident.runtime.packages import watch as _watch

TYPE_CHECKING = False  # as in threedident.runtime.packages
if TYPE_CHECKING:
    from typing import Any

    from threedident.conditionals import (
        Conditional,
        GeneralizedNormal,
        Laplace,
        Normal,
        Uniform,
        VonMisesFisher,
    )
    from threedident.dataset.split import ThreeDIdent
    from threedident.index.nearest import NearestLatents
    from threedident.pairs.augmented import AugmentedPairs
    from threedident.pairs.nearest import PositivePairs
    from threedident.pairs.rendered import RenderedPairs
    from threedident.pairs.resident import ResidentPairs
    from threedident.trained import load_encoder

    # of the package benchmark, which this one never imports by itself
    CosineSimilarity: Any
    DotSimilarity: Any
    LpSimilarity: Any
    info_nce: Any
    probe: Any
    score: Any

__version__ = "0.1.0"
__all__ = [
    "AugmentedPairs",
    "Conditional",
    "CosineSimilarity",
    "DotSimilarity",
    "GeneralizedNormal",
    "Laplace",
    "LpSimilarity",
    "NearestLatents",
    "Normal",
    "PositivePairs",
    "RenderedPairs",
    "ResidentPairs",
    "ThreeDIdent",
    "Uniform",
    "VonMisesFisher",
    "__version__",
    "info_nce",
    "load_encoder",
    "probe",
    "score",
]

_HOMES = {
    "AugmentedPairs": "pairs.augmented",
    "Conditional": "conditionals",
    "GeneralizedNormal": "conditionals",
    "Laplace": "conditionals",
    "NearestLatents": "index.nearest",
    "Normal": "conditionals",
    "PositivePairs": "pairs.nearest",
    "RenderedPairs": "pairs.rendered",
    "ResidentPairs": "pairs.resident",
    "ThreeDIdent": "dataset.split",
    "Uniform": "conditionals",
    "VonMisesFisher": "conditionals",
    "load_encoder": "trained",
}

_OF_BENCHMARK = {
    "CosineSimilarity": "losses",
    "DotSimilarity": "losses",
    "LpSimilarity": "losses",
    "info_nce": "losses",
    "probe": "metrics",
    "score": "metrics",
}

_watch()


def __getattr__(name: str) -> object:
    """Import public names on first use, so that the command line starts without torch.

    Those of our package ``benchmark`` are found beside a user's module of that name, too.
    """
    if name in _OF_BENCHMARK:
        with _Ours("benchmark"):
            return getattr(import_module(f"benchmark.{_OF_BENCHMARK[name]}"), name)
    if name not in _HOMES:
        raise _no_attribute(name)
    return getattr(import_module(f"threedident.{_HOMES[name]}"), name)


def _no_attribute(name: str) -> AttributeError:
    from threedident.runtime.errors import nearest

    near = nearest(name, __all__)
    end = "" if near is None else f"; did you mean {near!r}?"
    text = f"module {__name__!r} has no attribute {name!r}{end}"
    return AttributeError(text, name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return sorted(__all__)
