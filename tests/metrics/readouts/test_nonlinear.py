"""The nonlinear readout on bent, mixed, linear and unrelated codes, and its parts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

from benchmark.metrics import probe
from benchmark.metrics.probes import nonlinear_r2
from benchmark.metrics.readouts.network import network_part
from benchmark.metrics.readouts.splines import ranks, spline_part
from benchmark.metrics.readouts.targets import targets
from benchmark.metrics.scores import linear_r2
from benchmark.sources.mixing import Mixing

Bend = Callable[[np.ndarray], np.ndarray]
BENDS: dict[str, Bend] = {
    "tanh": lambda z: np.tanh(8 * z),
    "exp": lambda z: np.exp(4 * z),
    "cube": lambda z: z**3,
    "fifth power": lambda z: z**5,
    "fifth root": lambda z: np.sign(z) * np.abs(z) ** 0.2,
}


def uniform(seed: int, rows: int, n: int = 10) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (rows, n))


def rotation(seed: int, n: int = 10) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]


@pytest.mark.parametrize("name", BENDS)
def test_factors_bent_one_by_one_and_then_rotated_are_read(name: str) -> None:
    z = uniform(0, 3000)
    codes = BENDS[name](z)
    assert linear_r2(z, codes).mean() < 0.9
    found, rotated = nonlinear_r2(z, codes), nonlinear_r2(z, codes @ rotation(1))
    assert found.mean() > 0.96  # at 25,000 rows, 0.99 and more
    assert rotated == pytest.approx(found, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_the_mixing_function_of_the_benchmark_is_inverted(seed: int) -> None:
    z = uniform(2, 25_000)
    with torch.no_grad():
        codes = Mixing(10, seed)(torch.from_numpy(z)).numpy()
    assert linear_r2(z, codes).mean() < 0.65
    found = probe(z, codes)
    assert found.nonlinear_r2 > 0.98
    assert "network" in str(found)


def test_smooth_mixing_is_inverted() -> None:
    x = uniform(3, 3000)
    z = x
    for layer in range(3):
        bent = z @ rotation(10 + layer)
        z = 0.2 * bent + 0.4 * np.logaddexp(0, 2 * bent)
    assert nonlinear_r2(x, z @ rotation(20)).mean() > 0.99


@pytest.mark.parametrize("rows", [2000, 4000])
def test_noise_scores_nothing(rows: int) -> None:
    z, codes = uniform(4, rows), np.random.default_rng(5).normal(size=(rows, 10))
    assert -0.02 < nonlinear_r2(z, codes).mean() < 0.02


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_linear_codes_have_their_linear_score(noise: float) -> None:
    z = uniform(6, 3000)
    codes = z @ np.random.default_rng(7).normal(size=(10, 10))
    codes += noise * np.random.default_rng(8).normal(size=codes.shape)
    found = probe(z, codes)
    assert found.nonlinear_r2_per_factor == pytest.approx(linear_r2(z, codes), abs=2e-3)


@pytest.mark.filterwarnings("ignore::benchmark.metrics.remarks.FewRowsWarning")
def test_a_hundred_rows_and_hundreds_of_codes_have_scores() -> None:
    z = uniform(9, 100)
    assert (nonlinear_r2(z, z) > 0.999).all()
    z = uniform(10, 1000)
    wide = np.maximum(z @ np.random.default_rng(11).normal(size=(10, 512)), 0)
    assert nonlinear_r2(z, wide).mean() > linear_r2(z, wide).mean() - 2e-3


def test_ranks_are_scipys_without_ties_and_with_them() -> None:
    values = np.random.default_rng(12).integers(0, 9, 50).astype(float)
    assert ranks(values, values) == pytest.approx((rankdata(values) - 0.5) / 50)


def test_splines_find_the_direction_of_a_factor() -> None:
    z = uniform(13, 4000, 3)
    points = np.tanh(5 * z) @ rotation(14, 3)
    wanted = targets(z, None)
    found = spline_part(wanted[:2000], z[:2000], points[:2000], points[2000:])
    assert wanted[2000:].r_squared(found) == pytest.approx(1, abs=0.005)


def test_splines_find_circles_that_are_bent() -> None:
    angle = np.random.default_rng(15).uniform(-np.pi, np.pi, (4000, 2))
    wanted = targets(angle, [True, True])
    points = (wanted.columns + 0.2 * np.cos(3 * angle[:, [0, 0, 1, 1]])) @ rotation(16, 4)
    found = spline_part(wanted[:2000], wanted.columns[:2000], points[:2000], points[2000:])
    assert (wanted[2000:].r_squared(found) > 0.85).all()


def test_a_network_leaves_the_random_state_of_torch_alone_and_repeats() -> None:
    z = uniform(17, 600, 2)
    wanted, points = targets(z**2, None), z
    state = torch.random.get_rng_state()
    one, two = (
        network_part(
            wanted[:400], points[:400], wanted[400:500], (points[400:500], points[500:]), seed=3
        )
        for _ in range(2)
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (one[1] == two[1]).all()
    assert (wanted[500:].r_squared(one[1]) > 0.9).all()


def test_every_factor_takes_the_part_that_it_needs() -> None:
    z = uniform(18, 2000, 3)
    codes = np.stack([z[:, 0], np.exp(4 * z[:, 1]), np.cos(3 * z[:, 2]), np.sin(3 * z[:, 2])], 1)
    found = probe(z, codes)
    assert found.parts == ("line", "splines", "kernel")
    assert "read by" in str(found)


def test_affine_maps_change_nothing_where_no_network_reads() -> None:
    z = uniform(19, 2000, 3)
    codes = np.exp(2 * z)
    moved = codes @ (rotation(20, 3) * [1e-3, 1, 1e3]) + [5, -2, 0]
    assert nonlinear_r2(z, moved) == pytest.approx(nonlinear_r2(z, codes), abs=1e-5)
