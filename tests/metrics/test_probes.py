from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from benchmark.metrics.disentanglement.dci import dci
from benchmark.metrics.probes import (
    Probe,
    gaussian,
    nonlinear_r2,
    probe,
    ridge_weights,
    squared_distances,
    whitened,
)
from benchmark.metrics.scores import linear_r2


def uniform(seed: int, rows: int = 2000, n: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (rows, n))


def rotation(seed: int, n: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]


@pytest.mark.parametrize("ridge", [1e-5, 1e-2, 1.0])
@pytest.mark.parametrize("width", [0.5, 1.0, 3.0])
def test_kernel_ridge_is_scikit_learns(width: float, ridge: float) -> None:
    points, new, targets = uniform(0, 300), uniform(1, 100), uniform(2, 300, 4)
    fit = KernelRidge(alpha=ridge, kernel="rbf", gamma=1 / (2 * width**2)).fit(points, targets)
    weights = ridge_weights(gaussian(squared_distances(points, points), width), targets, ridge)
    predicted = gaussian(squared_distances(new, points), width) @ weights
    assert predicted == pytest.approx(fit.predict(new), abs=1e-6)


@pytest.mark.parametrize("n", [1, 3])
def test_cubes_are_read_where_lines_fail(n: int) -> None:
    z = uniform(3, n=n)
    assert (linear_r2(z, z**3) < 0.87).all()
    assert (nonlinear_r2(z, z**3) > 0.95).all()


def test_wrapped_angles_are_read() -> None:
    z = uniform(4, n=1)
    codes = np.hstack([np.cos(3 * z), np.sin(3 * z)])
    assert linear_r2(z, codes)[0] < 0.7
    assert nonlinear_r2(z, codes)[0] > 0.99


def test_curved_mixtures_are_read() -> None:
    z = uniform(5)
    mixed = z @ rotation(6, 3)
    codes = np.where(mixed > 0, mixed, 0.1 * mixed) @ rotation(7, 3)
    assert linear_r2(z, codes).mean() < 0.9
    assert (nonlinear_r2(z, codes) > 0.98).all()


@pytest.mark.parametrize("rows", [500, 4000])
def test_unrelated_codes_score_nothing(rows: int) -> None:
    found = nonlinear_r2(uniform(8, rows, 10), uniform(9, rows, 10))
    assert (found < 0.02).all()
    assert (found > -0.15).all()


def test_factors_that_are_not_encoded_are_told_from_curved_ones() -> None:
    z = uniform(10)
    found = nonlinear_r2(z, np.exp(2 * z[:, :2]))
    assert (found[:2] > 0.98).all()
    assert found[2] < 0.02


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("spread", [0, 6])
def test_linear_codes_are_read_as_by_a_line(noise: float, spread: float) -> None:
    rng = np.random.default_rng(11)
    z = uniform(12, n=8)
    noisy = z + rng.normal(0, 1, z.shape) * noise
    codes = noisy @ (rotation(13, 8) * 10.0 ** rng.uniform(-spread, 0, 8)) @ rotation(14, 8)
    assert (nonlinear_r2(z, codes) > linear_r2(z, codes) - 0.01).all()


def test_affine_maps_of_the_codes_do_not_matter() -> None:
    z = uniform(15)
    codes = np.exp(z @ rotation(16, 3))
    moved = codes @ (rotation(17, 3) * [1e-3, 1, 1e3]) + [5, -2, 0]
    assert nonlinear_r2(z, moved) == pytest.approx(nonlinear_r2(z, codes), abs=1e-6)
    assert nonlinear_r2(z * 1e-200, codes * 1e200) == pytest.approx(
        nonlinear_r2(z, codes), abs=1e-6
    )


def test_whitened_codes_have_identity_covariance() -> None:
    codes = uniform(18, n=4) @ np.random.default_rng(19).normal(size=(4, 4)) + 3
    points = whitened(codes, codes)
    assert points.mean(axis=0) == pytest.approx(0, abs=1e-9)
    assert points.T @ points / len(points) == pytest.approx(np.eye(4), abs=1e-9)


def test_redundant_and_dead_codes_do_not_matter() -> None:
    z = uniform(20)
    codes = z**3
    more = np.hstack([codes, codes[:, :1] + codes[:, 1:2], np.ones((len(z), 1))])
    assert nonlinear_r2(z, more) == pytest.approx(nonlinear_r2(z, codes), abs=0.01)


def test_collapsed_codes_score_nothing() -> None:
    z = uniform(21)
    assert nonlinear_r2(z, np.full_like(z, 0.1)) == pytest.approx(0, abs=0.02)


def test_no_row_of_the_scored_half_is_looked_at() -> None:
    z, codes = uniform(22), uniform(23)
    codes[1000:] = z[1000:]
    assert (nonlinear_r2(z, codes) < 0.05).all()


def test_seeds_repeat() -> None:
    z = uniform(24, rows=4000)
    one, again, other = (nonlinear_r2(z, z**3, seed=seed) for seed in (1, 1, 2))
    assert (one == again).all()
    assert (one != other).any()
    assert other == pytest.approx(one, abs=0.01)


@pytest.mark.filterwarnings("ignore::benchmark.metrics.remarks.FewRowsWarning")
@pytest.mark.parametrize("rows", [4, 5, 9])
def test_a_few_rows_are_enough(rows: int) -> None:
    assert np.isfinite(probe(uniform(25, rows), uniform(26, rows)).nonlinear_r2)


def test_probe_holds_both_readouts_and_survives_json() -> None:
    z = uniform(27, rows=400)
    found = probe(z, z**3, seed=3)
    assert found.nonlinear_r2 == pytest.approx(nonlinear_r2(z, z**3, seed=3).mean())
    assert (found.dci.importance == dci(z, z**3, seed=3).importance).all()
    again = Probe.from_json(json.loads(json.dumps(found.to_json())))
    assert (again.nonlinear_r2_per_factor == found.nonlinear_r2_per_factor).all()
    assert (again.dci.importance == found.dci.importance).all()
    assert again.dci.completeness == found.dci.completeness


def test_more_codes_than_factors_and_fewer_are_read() -> None:
    z = uniform(28, rows=400)
    assert probe(z, np.hstack([z, z**2])).nonlinear_r2 > 0.99
    assert probe(z, z[:, :1]).nonlinear_r2_per_factor[0] > 0.99


def test_bad_input_is_named() -> None:
    z = uniform(29, rows=20)
    with pytest.raises(ValueError, match="expected finite numbers"):
        probe(z, np.full_like(z, np.inf))
    z[10:, 1] = 0.5
    with pytest.raises(ValueError, match="found y constant"):
        probe(z, z, labels=["x", "y", "z"])
