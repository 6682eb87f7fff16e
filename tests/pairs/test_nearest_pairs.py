from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import cdist

from tests.conftest import DRAFT, cli, make_images
from threedident import Laplace, NearestLatents, Normal, PositivePairs, ThreeDIdent, VonMisesFisher
from threedident.conditionals.conditional import Conditional


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ThreeDIdent:
    return ThreeDIdent(make_images(tmp_path_factory.mktemp("pairs"), n=200))


@pytest.mark.parametrize("anchor", ["row", "marginal"])
@pytest.mark.parametrize("conditional", [Normal(0.3), Laplace(0.1)])
def test_positive_is_the_nearest_other_row(
    data: ThreeDIdent, anchor: str, conditional: Conditional
) -> None:
    draw = PositivePairs(data, conditional, anchor=anchor).draw(np.arange(500))  # type: ignore[arg-type]
    assert (draw.anchors != draw.positives).all()
    distances = cdist(draw.z_positive, data.latents)
    distances[np.arange(500), draw.anchors] = np.inf
    snapped = distances[np.arange(500), draw.positives]
    assert snapped == pytest.approx(distances.min(axis=1), abs=1e-9)


def test_row_anchors_are_rows_and_uniform(data: ThreeDIdent) -> None:
    draw = PositivePairs(data, Normal(0.1)).draw(np.arange(40_000))
    assert (draw.z == data.latents[draw.anchors]).all()
    assert stats.chisquare(np.bincount(draw.anchors, minlength=200)).pvalue > 1e-4


def test_marginal_anchors_follow_the_marginal_and_are_snapped(data: ThreeDIdent) -> None:
    draw = PositivePairs(data, Normal(0.1), anchor="marginal").draw(np.arange(20_000))
    for column in draw.z.T:
        assert stats.kstest(column, stats.uniform(-1, 2).cdf).pvalue > 1e-4
    nearest = cdist(draw.z[:300], data.latents).argmin(axis=1)
    assert (draw.anchors[:300] == nearest).all()


@pytest.mark.parametrize("anchor", ["row", "marginal"])
def test_positives_are_drawn_around_the_anchor_as_drawn(data: ThreeDIdent, anchor: str) -> None:
    draw = PositivePairs(data, Normal(0.05), anchor=anchor).draw(np.arange(20_000))  # type: ignore[arg-type]
    inner = np.abs(draw.z) < 0.7
    steps = (draw.z_positive - draw.z)[inner]
    assert stats.kstest(steps, stats.norm(0, 0.05).cdf).pvalue > 1e-4


@pytest.mark.parametrize("kind", ["exact", "hnsw", "ivf"])
def test_every_index_serves(data: ThreeDIdent, kind: str) -> None:
    exact = PositivePairs(data, Normal(0.2), index="exact").draw(np.arange(400))
    ours = PositivePairs(data, Normal(0.2), index=kind).draw(np.arange(400))
    assert (ours.anchors == exact.anchors).all()
    assert (ours.positives == exact.positives).mean() > 0.99


def test_an_index_over_some_factors_ignores_the_others(data: ThreeDIdent) -> None:
    index = NearestLatents(data.latents, factors=["x", "y"])
    draw = PositivePairs(data, Normal(0.05), index=index).draw(np.arange(300))
    distances = cdist(draw.z_positive[:, :2], data.latents[:, :2])
    distances[np.arange(300), draw.anchors] = np.inf
    assert (distances.argmin(axis=1) == draw.positives).all()


def test_an_index_over_other_latents_is_refused(data: ThreeDIdent) -> None:
    with pytest.raises(ValueError, match=r"the 200 latents of .+, found one over 9"):
        PositivePairs(data, Normal(0.1), index=NearestLatents(data.latents[:9]))
    with pytest.raises(ValueError, match="index: expected one over the latents of"):
        PositivePairs(data, Normal(0.1), index=NearestLatents(data.latents[::-1]))


def test_conditional_must_fit_the_space(data: ThreeDIdent) -> None:
    with pytest.raises(ValueError, match="unit sphere"):
        PositivePairs(data, VonMisesFisher(10.0))


def test_conditional_must_be_one(data: ThreeDIdent) -> None:
    with pytest.raises(ValueError, match=r"such as Normal\(0\.1\), found 0\.1"):
        PositivePairs(data, 0.1)  # type: ignore[arg-type]


@pytest.mark.parametrize(("field", "value"), [("anchor", "column"), ("index", "lsh")])
def test_unknown_words(data: ThreeDIdent, field: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"expected .*, found '{value}'"):
        PositivePairs(data, Normal(0.1), **{field: value})  # type: ignore[arg-type]


def test_numbers_are_not_negative(data: ThreeDIdent) -> None:
    with pytest.raises(ValueError, match="non-negative"):
        PositivePairs(data, Normal(0.1)).draw([-1])


def test_one_image_makes_no_pair(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 2 images"):
        PositivePairs(ThreeDIdent(make_images(tmp_path, n=1, digits=6)), Normal(0.1))


@pytest.mark.slow
def test_given_rows_have_no_known_marginal(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.zeros((3, 10), np.float32))
    rows = ("--latents", tmp_path / "rows.npy", "--out", tmp_path / "data")
    assert cli("render", *rows, *DRAFT).returncode == 0
    data = ThreeDIdent(tmp_path / "data")
    with pytest.raises(ValueError, match=r"anchor: expected row for .+ found marginal"):
        PositivePairs(data, Normal(0.1), anchor="marginal")
    assert len(PositivePairs(data, Normal(0.1))) == 3
