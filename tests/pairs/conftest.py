"""A small data set, and pairs of three kinds over it."""

from __future__ import annotations

import pytest

from tests.conftest import done_at_once, make_images
from tests.pairs.numbered import N
from threedident import (
    AugmentedPairs,
    Normal,
    PositivePairs,
    RenderedPairs,
    ThreeDIdent,
)
from threedident.pairs.core import Pairs


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ThreeDIdent:
    root = make_images(tmp_path_factory.mktemp("epochs"), n=N)
    done_at_once("pack", root)
    return ThreeDIdent(root)


@pytest.fixture(params=["row", "augmented", pytest.param("rendered", marks=pytest.mark.slow)])
def pairs(request: pytest.FixtureRequest, data: ThreeDIdent) -> Pairs:
    """Pairs whose anchors are rows."""
    if request.param == "row":
        return PositivePairs(data, Normal(0.2), seed=5)
    if request.param == "augmented":
        return AugmentedPairs(data, seed=5)
    return RenderedPairs(ThreeDIdent(request.getfixturevalue("paired")), seed=5)
