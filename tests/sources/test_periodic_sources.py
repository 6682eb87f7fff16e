"""Sources of images of the periodic space, whose angles have no ends."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import ive

from benchmark.sources.images import ImageSource
from benchmark.sources.source import Machine
from tests.conftest import cli, refused_at_once
from tests.small_runs import run
from threedident import ThreeDIdent, load_encoder
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


@pytest.mark.parametrize(
    ("chosen", "loss", "space", "codes"),
    [
        ((), "l2+dot", "box+learned-sphere", 11),
        (("--factors", "x,y"), "l2", "box", 2),
        (("--factors", "rotation"), "dot", "sphere", 8),
    ],
)
def test_a_run_takes_the_loss_that_fits_the_factors(
    periodic: Path, tmp_path: Path, chosen: tuple[str, ...], loss: str, space: str, codes: int
) -> None:
    scores = run(periodic, tmp_path / "run", "--steps", 2, "--batch-size", 8, *chosen)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["loss"], config["output_space"]) == (loss, space)
    encoder = load_encoder(tmp_path / "run")
    assert encoder(torch.zeros(2, 3, 32, 32, dtype=torch.uint8)).shape == (2, codes)
    assert len(scores["factors"]) == len(encoder.labels)


def test_losses_that_do_not_fit_the_set_are_refused_or_named(
    periodic: Path, coloured: Path, tmp_path: Path
) -> None:
    shared = ("--batch-size", 8, "--steps", 0, "--out", tmp_path / "run")
    line = refused_at_once("benchmark", "--data", coloured, "--loss", "l2+dot", *shared)
    assert "--output-space: expected one for codes of one kind" in line
    line = refused_at_once("benchmark", "--data", periodic, "--codes", 5, *shared)
    assert "--codes: expected with a loss of one similarity, found it with l2+dot" in line
    asked = ("--loss", "l2", "--output-space", "unbounded", "--encoder", "conv")
    result = cli("benchmark", "--data", periodic, *asked, *shared)
    assert result.returncode == 0
    assert "the loss l2 does not model angles without ends" in result.stderr
