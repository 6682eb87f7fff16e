"""Sources of images in which some factors are constant, or of which some are chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.resume import options_of
from benchmark.sources.images import ImageSource
from benchmark.sources.source import Machine
from benchmark.training.folder import RunFolder
from tests.conftest import cli, make_images
from tests.small_runs import run
from threedident import ThreeDIdent, load_encoder
from threedident.conditionals.law import Law
from threedident.latents.factors import LABELS, NAMES
from threedident.pairs.core import Pairs

FIXED = {"z": 0.5, "alpha": -0.25, "object_hue": 0.0}
FREE = tuple(name for name in NAMES if name not in FIXED)
NARROW = Law("normal", 0.02)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("held"), n=300, n_test=80, fixed=FIXED)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_images(tmp_path_factory.mktemp("whole"), n=2000, n_test=80, edge=2)


def source(data: Path, pairs: Any = "nearest", chosen: Any = None, **asked: Any) -> ImageSource:
    splits = ThreeDIdent(data), ThreeDIdent(data, "test")
    return ImageSource(splits, pairs, NARROW, chosen=chosen, **asked)


def made(found: ImageSource) -> Pairs:
    pairs = found.pairs(0)
    assert pairs is not None
    return pairs


def test_constant_factors_are_left_out(held: Path) -> None:
    found = source(held)
    assert found.labels == tuple(LABELS[NAMES.index(name)] for name in FREE)
    assert found.codes == len(FREE) == 7
    places = [NAMES.index(name) for name in FREE]
    assert np.array_equal(found.latents(0), found.test.latents[:, places])
    assert found.settings.factors == FREE
    assert ", ".join(FREE) in found.summary()
    drawn = made(found).draw(np.arange(500))
    moved = np.ptp(drawn.z_positive - drawn.z, axis=0) > 0
    assert [NAMES[place] for place in np.flatnonzero(moved)] == list(FREE)


@pytest.mark.parametrize("anchor", ["row", "marginal"])
def test_positives_are_nearest_in_the_chosen_factors_and_any_in_others(
    whole: Path, anchor: str
) -> None:
    found = source(whole, chosen=("x", "theta"), anchor=anchor)
    pairs = made(found)
    drawn = pairs.draw(np.arange(1000))
    z, positive = (pairs.dataset.latents[rows] for rows in (drawn.anchors, drawn.positives))
    apart = np.sqrt(((positive - z) ** 2).mean(axis=0))
    chosen = [0, 6]
    others = [i for i in range(10) if i not in chosen]
    # two factors among 2,000 rows: neighbours are about 2 / sqrt(2,000) = 0.04 apart
    assert (apart[chosen] < 0.1).all()
    # two independent uniform numbers in [-1, 1] are sqrt(2 / 3) = 0.82 apart
    assert np.allclose(apart[others], np.sqrt(2 / 3), atol=0.06)
    assert found.codes == 2


def test_regression_predicts_the_chosen_factors(held: Path) -> None:
    found = source(held, None, ("y", "background_hue"))
    [batch] = found.batches(0, range(1), 16, Machine(torch.device("cpu")))
    rows = torch.from_numpy(found.train.latents[:, [1, 9]])
    apart = torch.cdist(batch.latents.double(), rows.double()).min(dim=1).values
    assert batch.latents.shape == (16, 2)
    assert float(apart.max()) == 0.0


def test_factors_that_are_not_chosen_may_vary_in_one_split_only(tmp_path: Path) -> None:
    data = make_images(tmp_path / "data", n=40, n_test=20)
    held = make_images(tmp_path / "held", n=40, n_test=20, fixed={"beta": 0.5})
    splits = ThreeDIdent(data), ThreeDIdent(held, "test")
    pairs = made(ImageSource(splits, "nearest", NARROW, chosen=("x", "theta")))
    assert pairs.draw(np.arange(30)).positives.max() < 40
    with pytest.raises(ValueError, match=r"that beta varies in .* and is constant in"):
        ImageSource(splits, "nearest", NARROW)


def test_one_chosen_factor_must_vary(held: Path) -> None:
    assert source(held, chosen=("x", "alpha")).settings.factors == ("x",)
    with pytest.raises(ValueError, match=r"--factors: expected a factor .* found z, alpha"):
        source(held, chosen=("alpha", "z"))


@pytest.mark.slow
def test_a_run_leaves_constant_factors_out_of_its_scores_and_pages(
    held: Path, tmp_path: Path
) -> None:
    scores = run(held, tmp_path / "run", "--steps", 2, drawn=True)
    labels = [LABELS[NAMES.index(name)] for name in FREE]
    assert scores["factors"] == labels
    page = (tmp_path / "run" / "report.html").read_text()
    assert "object hue" not in page
    assert "spotlight hue" in page
    encoder = load_encoder(tmp_path / "run")
    assert encoder.labels == tuple(labels)
    assert encoder(torch.zeros(2, 3, 16, 16, dtype=torch.uint8)).shape == (2, 7)
    some = run(held, tmp_path / "some", "--steps", 2, "--factors", "hues,x")
    assert some["factors"] == ["object x", "spotlight hue", "background hue"]


@pytest.mark.slow
@pytest.mark.parametrize("chosen", [(), ("--factors", "hues,x")])
def test_a_run_on_some_factors_goes_on_from_its_folder(
    held: Path, tmp_path: Path, chosen: tuple[str, ...]
) -> None:
    scores = run(held, tmp_path / "run", "--steps", 2, *chosen)
    result = cli("benchmark", "--resume", tmp_path / "run", "--device", "cpu")
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "run" / "scores.json").read_text()) == scores
    config = RunFolder(tmp_path / "run").read_config()
    options = complete(options_of(config).replace(data=held))
    assert resolve(options, open_source(options)) == config
