"""Warnings about few rows and swapped arguments, and the silence of everything else."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmark.dci import dci
from benchmark.metrics import linear_r2, score
from benchmark.readout import nonlinear_r2, probe
from benchmark.remarks import FewRowsWarning, ScoreWarning, SwapWarning, few_rows, look_swapped
from threedident.latents import sample_raw

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


@pytest.mark.parametrize("scale", [1.0, 0.01])
@pytest.mark.parametrize("rows", [300, 4096])
@pytest.mark.parametrize("seed", range(5))
def test_swaps_are_seen_whatever_the_scale_of_codes_and_box(
    seed: int, rows: int, scale: float
) -> None:
    z = np.random.default_rng(seed).uniform(-1, 1, (rows, 10))
    codes = scale * z @ np.random.default_rng(seed).normal(size=(10, 10))
    for latents in (z, (z + 1) / 2, z.astype(np.float32)):
        assert look_swapped(codes, latents)
        assert not look_swapped(latents, codes)


def test_codes_inside_the_box_are_seen_too_when_swapped() -> None:
    z = sample_raw(0, "test", 1000)
    assert look_swapped(unit(features(z)), z)
    assert look_swapped(sigmoid(3 * features(z)), z)
    assert look_swapped(features(z, 64), z)


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
    with pytest.raises(ValueError, match=r"found \(1000, 10\); give more codes, or, if the two"):
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


def test_a_script_shows_a_warning_once_however_often_it_scores() -> None:
    script = (
        "import numpy as np\n"
        "from benchmark.metrics import score\n"
        "from benchmark.readout import probe\n"
        "z = np.random.default_rng(0).uniform(-1, 1, (30, 3))\n"
        "for _ in range(3):\n"
        "    score(z, z), probe(z, z)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("FewRowsWarning") == 1
