"""Ridge regression where codes are many for the rows, against scikit-learn and the bare mean."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import lstsq
from sklearn.linear_model import LinearRegression, RidgeCV

from benchmark.metrics.probes import nonlinear_r2, probe
from benchmark.metrics.readouts.linear import fit_linear, suitable_fit
from benchmark.metrics.readouts.targets import targets
from benchmark.metrics.scores import linear_r2, score

pytestmark = pytest.mark.filterwarnings("ignore::benchmark.metrics.remarks.FewRowsWarning")


def uniform(seed: int, rows: int, n: int = 10) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (rows, n))


def noise(seed: int, rows: int, codes: int) -> np.ndarray:
    return np.random.default_rng(1000 + seed).normal(size=(rows, codes))


@pytest.mark.parametrize("noise_sd", [0.0, 0.3, 3.0])
@pytest.mark.parametrize(("rows", "codes"), [(30, 10), (40, 35), (40, 90)])
def test_ridge_is_scikit_learns_with_the_strength_of_leave_one_out(
    rows: int, codes: int, noise_sd: float
) -> None:
    rng = np.random.default_rng(rows + codes)
    z = uniform(0, rows, 4)
    x = z @ rng.normal(size=(4, codes)) + noise_sd * rng.normal(size=(rows, codes)) + 5
    found = fit_linear(targets(z, None), x, "ridge")
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    squares = np.linalg.svd(standard, compute_uv=False) ** 2
    alphas = 10.0 ** np.linspace(4, -10, 57) * standard.size
    freedom = 1 + (squares / (squares + alphas[:, None])).sum(axis=1)
    alphas = alphas[freedom <= 0.75 * rows]
    expected = RidgeCV(alphas, alpha_per_target=True).fit(standard, z)
    assert found.strength_per_factor is not None
    if noise_sd:  # without noise, errors of tiny strengths differ by rounding alone
        assert found.strength_per_factor * standard.size == pytest.approx(expected.alpha_)
    new = 5 + noise(1, 50, codes)
    new_standard = (new - x.mean(axis=0)) / x.std(axis=0)
    assert found.predict(new) == pytest.approx(expected.predict(new_standard), abs=1e-4)


@pytest.mark.parametrize(("rows", "codes"), [(1000, 400), (1000, 600), (500, 700)])
def test_noise_scores_about_nothing(rows: int, codes: int) -> None:
    for seed in range(3):
        found = score(uniform(seed, rows), noise(seed, rows, codes), spare_codes=True)
        assert found.readout == "ridge"
        assert abs(found.r2) < 0.05


@pytest.mark.parametrize(("rows", "codes"), [(100, 50), (100, 100), (60, 30)])
def test_noise_is_never_far_below_nothing_where_codes_are_as_many_as_fitted_rows(
    rows: int, codes: int
) -> None:
    for seed in range(8):
        assert linear_r2(uniform(seed, rows), noise(seed, rows, codes)).mean() > -0.5


@pytest.mark.parametrize(("rows", "codes"), [(400, 300), (400, 800), (60, 30)])
def test_a_nonlinear_readout_makes_nothing_of_noise_either(rows: int, codes: int) -> None:
    for seed in range(3):
        z, x = uniform(seed, rows), noise(seed, rows, codes)
        assert nonlinear_r2(z, x).mean() > linear_r2(z, x).mean() - 0.05


@pytest.mark.parametrize(("rows", "codes"), [(1000, 400), (400, 300)])
def test_features_that_hold_the_factors_lose_nothing(rows: int, codes: int) -> None:
    rng = np.random.default_rng(0)
    z = uniform(1, rows)
    linear = z @ rng.normal(size=(10, codes))
    assert (linear_r2(z, linear) > 0.999999).all()
    curved = np.maximum(linear + rng.uniform(-1, 1, codes), 0)
    half = rows // 2
    least_squares = LinearRegression().fit(curved[:half], z[:half]).score(curved[half:], z[half:])
    assert linear_r2(z, curved).mean() > least_squares


def test_ridge_begins_beyond_a_code_for_ten_rows() -> None:
    z = uniform(2, 101)
    for rows, readout in ((99, "ridge"), (100, "least squares"), (101, "least squares")):
        found = score(z[:rows], z[:rows] ** 3)
        assert found.readout == readout
        assert (found.strength_per_factor is None) == (readout == "least squares")
    assert suitable_fit(50, 10) == "least squares"
    assert suitable_fit(49, 10) == "ridge"


def test_no_row_of_the_scored_half_chooses_the_strength() -> None:
    z, codes = uniform(3, 200), noise(3, 200, 60)
    other = z.copy()
    other[100:] = uniform(4, 100)
    one, two = (score(each, codes, spare_codes=True) for each in (z, other))
    assert one.strength_per_factor is not None
    assert (one.strength_per_factor == two.strength_per_factor).all()


@pytest.mark.parametrize("rows", [4, 5, 9, 30])
def test_constant_and_copied_codes_and_single_rows_have_a_score(rows: int) -> None:
    z = uniform(5, rows, 3)
    codes = np.hstack([np.ones((rows, 2)), z, z, z.astype(np.float32)])
    assert np.isfinite(score(z, codes, spare_codes=True).r2)
    assert linear_r2(z, np.ones((rows, 5))) == pytest.approx(linear_r2(z, np.zeros((rows, 5))))
    assert np.isfinite(linear_r2(z, codes[:, 2:3])).all()


def test_a_probe_says_how_many_components_its_kernel_saw() -> None:
    z = uniform(6, 200, 3)
    assert probe(z, z**3).components == 3
    assert probe(z, np.hstack([z, z, np.ones((200, 1))])).components == 3
    found = probe(z, noise(6, 200, 60))
    assert (found.components, found.readout) == (20, "ridge")
    assert "20 components" in str(found)


@pytest.mark.parametrize("seed", range(5))
def test_codes_that_are_sums_of_others_or_asleep_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z = uniform(seed, 1000)
    codes = np.maximum(z @ rng.normal(size=(10, 30)), 0.0)
    asleep = np.zeros((1000, 12))
    asleep[600 + np.arange(12), np.arange(12)] = 1.0  # awake in one scored row alone
    sums = codes @ rng.normal(size=(30, 20))
    base, more = linear_r2(z, codes), linear_r2(z, np.hstack([codes, asleep, sums]))
    assert more == pytest.approx(base, abs=1e-6)


def test_codes_of_full_rank_are_fitted_as_ever() -> None:
    z, codes = uniform(3, 500), noise(3, 500, 40)
    weights = fit_linear(targets(z, None), codes, "least squares").weights
    assert (weights == lstsq(codes - codes.mean(axis=0), z - z.mean(axis=0))[0]).all()
