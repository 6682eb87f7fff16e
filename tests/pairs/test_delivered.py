"""Requested against delivered steps: a lookup widens them, exact positives do not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmark.measure.synthetic import sparse_pairs
from tests.conftest import make_images
from threedident import (
    AugmentedPairs,
    Laplace,
    NearestLatents,
    Normal,
    PositivePairs,
    RenderedPairs,
    ThreeDIdent,
)
from threedident.latents.factors import NAMES


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> ThreeDIdent:
    root = tmp_path_factory.mktemp("sparse")
    sparse_pairs(root, 20_000, 8, "normal:0.1")
    return ThreeDIdent(root)


def test_a_lookup_widens_and_a_second_one_widens_more(sparse: ThreeDIdent) -> None:
    row, marginal = (
        PositivePairs(sparse, Normal(0.1), anchor=anchor).delivered()  # type: ignore[arg-type]
        for anchor in ("row", "marginal")
    )
    z = np.linspace(-1, 1, 20_001)
    law = stats.truncnorm((-1 - z) / 0.1, (1 - z) / 0.1, loc=z, scale=0.1)
    asked = np.sqrt((law.var() + (law.mean() - z) ** 2).mean())
    for found in (row, marginal):
        assert found.columns == NAMES
        assert found.requested == pytest.approx(asked, rel=0.05)
    assert (row.delivered > 1.5 * row.requested).all()
    assert (marginal.delivered > 1.1 * row.delivered).all()
    assert not row.anchor_snaps.any()
    assert (marginal.anchor_snaps > 0).all()


def test_snaps_are_distances_to_what_is_shown(sparse: ThreeDIdent) -> None:
    pairs = PositivePairs(sparse, Laplace(0.1), anchor="marginal")
    draw, found = pairs.draw(np.arange(400)), pairs.delivered(400)
    exact = NearestLatents(sparse.latents, kind="exact")
    assert found.anchor_snaps == pytest.approx(exact.search(draw.z).distances[:, 0], rel=0.02)
    steps = draw.z_positive - sparse.latents[draw.positives]
    assert found.positive_snaps == pytest.approx(np.linalg.norm(steps, axis=1), abs=1e-12)


def test_exact_positives_deliver_what_was_requested(sparse: ThreeDIdent) -> None:
    pairs = RenderedPairs(sparse)
    found = pairs.delivered(20_000)
    assert not found.anchor_snaps.any()
    assert not found.positive_snaps.any()
    sampling_error = 0.1 / np.sqrt(20_000)
    assert np.abs(found.delivered - found.requested).max() < 5 * sampling_error
    draw = pairs.draw(np.arange(20_000))
    shown = pairs.positives.latents[draw.positives] - sparse.latents[draw.anchors]
    for drawn, got in zip((draw.z_positive - draw.z).T, shown.T, strict=True):
        assert stats.ks_2samp(drawn, got).pvalue > 1e-4


def test_augmentations_do_not_move_in_latent_space(tmp_path: Path) -> None:
    found = AugmentedPairs(ThreeDIdent(make_images(tmp_path))).delivered(50)
    assert not found.requested.any()
    assert not found.delivered.any()


def test_numbers_and_figure(sparse: ThreeDIdent) -> None:
    found = PositivePairs(sparse, Normal(0.1)).delivered(300)
    numbers = found.to_json()
    assert numbers["pairs"] == 300
    assert numbers["requested"] == dict(zip(NAMES, found.requested.tolist(), strict=True))
    assert numbers["positive_snaps"]["0.5"] == np.median(found.positive_snaps)
    for delivered in (found, RenderedPairs(sparse).delivered(300)):
        buffer = io.BytesIO()
        delivered.figure().savefig(buffer, format="png")
        assert buffer.getvalue().startswith(b"\x89PNG")
