"""A small data set, and pairs of three kinds over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import cli, make_images
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
    assert cli("pack", root).returncode == 0
    return ThreeDIdent(root)


@pytest.fixture(params=["row", "augmented", "rendered"])
def pairs(request: pytest.FixtureRequest, data: ThreeDIdent, paired: Path) -> Pairs:
    """Pairs whose anchors are rows."""
    if request.param == "row":
        return PositivePairs(data, Normal(0.2), seed=5)
    if request.param == "augmented":
        return AugmentedPairs(data, seed=5)
    return RenderedPairs(ThreeDIdent(paired), seed=5)
