"""Warnings about few rows and swapped arguments, and the silence of everything else."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.metrics.disentanglement.dci import dci
from benchmark.metrics.probes import nonlinear_r2, probe
from benchmark.metrics.remarks import (
    FewRowsWarning,
    ScoreWarning,
    SwapWarning,
    few_rows,
    look_swapped,
)
from benchmark.metrics.scores import linear_r2, score
from benchmark.sources.kitti_masks.tracks import load_masks
from tests.pedestrians import make_pickle
from threedident.latents.sampling import sample_raw

SCORES = [score, linear_r2, nonlinear_r2, dci, probe]


def features(z: np.ndarray, codes: int = 10, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.tanh(z @ rng.normal(size=(z.shape[1], codes))) + 0.1 * rng.normal(
        size=(len(z), codes)
    )


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def sigmoid(rows: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-rows))


@pytest.mark.parametrize("scorer", SCORES)
def test_swapped_arguments_are_named_at_the_callers_line(scorer: Callable[..., Any]) -> None:
    z = sample_raw(0, "test", 1000)
    codes = features(z)
    with pytest.warns(SwapWarning, match="if the two are swapped, call with latents=") as caught:
        scorer(codes, z)
    [warning] = caught
    assert warning.filename == __file__
    assert "\n" not in str(warning.message)
    scorer(latents=z, representations=codes)


def latents_of(kind: str, rows: int, seed: int = 0) -> np.ndarray:
    """Independent factors of every law, in every unit."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(-1, 1, (rows, 10))
    return {
        "uniform": z,
        "unit": (z + 1) / 2,
        "half": z / 2,
        "degrees": z * 180,
        "physical": z * np.pi / 2,
        "discrete": np.floor(2 * z),
        "binary": np.sign(z),
        "normal": rng.normal(size=z.shape),
        "laplace": rng.laplace(size=z.shape),
        "sphere": unit(rng.normal(size=z.shape)),
        "periodic": sample_raw(seed, "test", rows, "periodic"),
    }[kind]


KINDS = ["uniform", "unit", "half", "degrees", "physical", "discrete", "binary"]
KINDS += ["normal", "laplace", "sphere", "periodic"]


@pytest.mark.parametrize("rows", [100, 300, 4096])
@pytest.mark.parametrize("kind", KINDS)
def test_swaps_are_seen_whatever_the_law_and_unit_of_the_factors(kind: str, rows: int) -> None:
    """Codes that mix three factors of ten."""
    for seed in range(5):
        z = latents_of(kind, rows, seed)
        rng = np.random.default_rng(50 + seed)
        mixed = z[:, :3] / z.std() @ rng.normal(size=(3, 10))
        codes = mixed + 0.05 * rng.normal(size=(rows, 10))
        for swapped in (codes, 0.01 * codes, np.hstack([codes, np.zeros((rows, 1))])):
            assert look_swapped(swapped, z)
            assert not look_swapped(z, swapped)


def test_codes_of_every_output_space_are_seen_when_swapped() -> None:
    z = sample_raw(0, "test", 1000)
    codes = features(z[:, :5])
    for swapped in (codes, unit(codes), sigmoid(3 * codes), features(z[:, :5], 64)):
        assert look_swapped(swapped, z)
        assert not look_swapped(z, swapped)


def test_a_dead_code_does_not_hide_the_swap() -> None:
    z = sample_raw(0, "test", 1000)
    codes = features(z)
    codes[:, 9] = 0.1
    with pytest.raises(ValueError, match=r"column 9 constant; .* varies; if the two are swapped"):
        score(codes, z)
    with pytest.raises(ValueError, match=r"which it varies$"):
        score(codes, codes)
    with pytest.raises(ValueError, match=r"found 9 constant; .* which it varies$"):
        score(codes, z, labels=[str(i) for i in range(10)])


@pytest.mark.parametrize("seed", range(3))
def test_correlated_latents_of_pedestrians_are_no_swap(seed: int, tmp_path: Path) -> None:
    """Nor are they under codes that know nothing, or in which one is dead."""
    masks = load_masks(make_pickle(tmp_path, [12] * 80, seed=seed))
    z = masks.latents.astype(np.float64)
    z[:, 2] += 20 * z[:, 0]  # the nearer, the lower and the larger
    rng = np.random.default_rng(seed)
    for codes in (3, 10):
        hidden = features((z - z.mean(axis=0)) / z.std(axis=0), codes, seed)
        noise = rng.normal(size=hidden.shape)
        dead = np.hstack([hidden[:, 1:], np.zeros((len(z), 1))])
        for given in (hidden, unit(hidden), sigmoid(hidden), noise, unit(noise), dead, 0 * dead):
            assert not look_swapped(z, given)


@pytest.mark.parametrize("rows", [40, 150, 1024, 8192])
@pytest.mark.parametrize("n", [2, 3, 10])
@pytest.mark.parametrize("seed", range(3))
def test_latents_of_other_spaces_are_no_swap(seed: int, n: int, rows: int) -> None:
    """Unbounded, spherical and pixel latents under codes of every output space."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(rows, n))
    laplace = rng.laplace(size=(rows, n))
    pixels = np.abs(normal * [30.0, 10.0, 200.0, *[5.0] * 7][:n]).round()
    for z in (normal, laplace, unit(normal), pixels, rng.uniform(-1, 1, (rows, n)) * 7):
        hidden = features(z / z.std(axis=0), n, seed)
        sphere = unit(rng.normal(size=(rows, n)))
        for codes in (hidden, unit(hidden), sigmoid(hidden), np.tanh(2 * hidden), sphere, z):
            assert not look_swapped(z, codes)


def test_perfect_codes_are_no_swap() -> None:
    z = sample_raw(0, "test", 2000)
    normal = np.random.default_rng(1).normal(size=z.shape)
    squashed = np.tanh(0.8 * normal)  # nearly uniform on [-1, 1]
    for latents, codes in ((z, z), (5 * z, z), (z, z[:, ::-1]), (z, z**3), (normal, squashed)):
        assert not look_swapped(latents, codes)


def test_too_few_codes_and_labels_of_the_other_side_name_the_swap() -> None:
    z = sample_raw(0, "test", 1000)
    codes = features(z, 64)
    words = r"found \(1000, 10\); give more codes, pass missing_codes=True, or, if the two"
    with pytest.raises(ValueError, match=words):
        score(codes, z)
    with pytest.raises(ValueError, match="labels: expected 64, one a factor, found 10; if the"):
        probe(codes, z, labels=[str(i) for i in range(10)])


def test_spare_codes_say_what_to_pass() -> None:
    z = sample_raw(0, "test", 1000)
    words = r"pass spare_codes=True to score all 64 \(MCC then assigns 10 of them\)"
    with pytest.raises(ValueError, match=words):
        score(z, features(z, 64))


@pytest.mark.parametrize("scorer", SCORES)
def test_few_rows_are_remarked_once(scorer: Callable[..., Any]) -> None:
    z = sample_raw(0, "test", 60)[:, :3]
    with pytest.warns(FewRowsWarning, match="59 rows are few for 3 codes") as caught:
        scorer(z[:59], z[:59] ** 3)
    [warning] = caught
    assert warning.filename == __file__
    assert "\n" not in str(warning.message)
    scorer(z, z**3)


def test_results_carry_the_remark() -> None:
    z = sample_raw(0, "test", 60)[:, :3]
    with warnings.catch_warnings(action="ignore", category=ScoreWarning):
        few = score(z[:20], z[:20] ** 3)
    assert few.remark == few_rows(20, 3) is not None
    assert f"note: {few.remark}" in str(few)
    assert score(z, z**3).remark is None
    assert "note" not in str(score(z, z**3))


@pytest.mark.slow
def test_a_script_shows_a_warning_once_however_often_it_scores() -> None:
    script = (
        "import numpy as np\n"
        "from benchmark.metrics.scores import score\n"
        "from benchmark.metrics.probes import probe\n"
        "z = np.random.default_rng(0).uniform(-1, 1, (30, 3))\n"
        "for _ in range(3):\n"
        "    score(z, z), probe(z, z)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("FewRowsWarning") == 1
