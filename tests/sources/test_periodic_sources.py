"""Sources of images of the periodic space, whose angles have no ends."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import ive

from benchmark.sources.images import ImageSource
from benchmark.sources.source import Machine
from threedident import ThreeDIdent
from threedident.conditionals.law import Law
from threedident.latents.factors import LABELS

pytestmark = pytest.mark.slow  # Blender draws the images

CPU = Machine(torch.device("cpu"))


def source(data: Path, pairs: Any = "nearest", chosen: Any = None) -> ImageSource:
    splits = ThreeDIdent(data), ThreeDIdent(data, "test")
    return ImageSource(splits, pairs, Law("normal", 0.1), chosen=chosen)


def test_every_factor_is_scored_and_the_sphere_is_encoded_as_a_whole(periodic: Path) -> None:
    found = source(periodic)
    assert found.labels == LABELS
    assert found.circular == (False,) * 3 + (True,) * 7
    assert found.codes == 11
    physical = np.load(periodic / "test" / "latents.npy")
    assert np.allclose(found.latents(0)[:, 3:], physical[:, 3:])
    assert found.ceiling() is None


def test_positives_follow_the_law_of_both_parts(periodic: Path) -> None:
    pairs = source(periodic).pairs(0)
    assert pairs is not None
    drawn = pairs.draw(np.arange(20_000))
    steps = (drawn.z_positive - drawn.z)[:, :3]
    inside = np.abs(drawn.z[:, :3]) < 0.6  # far from the ends of the box
    assert steps[inside].std() == pytest.approx(0.1, rel=0.03)
    cosines = (drawn.z_positive[:, 3:] * drawn.z[:, 3:]).sum(axis=1)
    kappa, n = 10.0, 8
    assert cosines.mean() == pytest.approx(ive(n / 2, kappa) / ive(n / 2 - 1, kappa), abs=0.005)


def test_regression_predicts_cosines_and_sines(periodic: Path) -> None:
    found = source(periodic, None, ("x", "theta"))
    assert (found.codes, found.circular) == (3, (False, True))
    [batch] = found.batches(0, range(1), 8, CPU)
    assert torch.allclose((batch.latents[:, 1:] ** 2).sum(dim=1), torch.ones(8), atol=1e-6)


def test_the_traversal_shows_every_chosen_factor(periodic: Path) -> None:
    picture = source(periodic, chosen=("z", "alpha")).pictures(None)["traversal"]
    words = " ".join(panel.text for panel in picture.panels)
    assert "object z" in words
    assert "rotation alpha" in words
    assert "object hue" not in words


def test_positions_alone_need_no_sphere(periodic: Path) -> None:
    found = source(periodic, chosen=("x", "y"))
    assert (found.codes, found.circular) == (2, None)
    assert not math.isnan(float(found.latents(0).sum()))
