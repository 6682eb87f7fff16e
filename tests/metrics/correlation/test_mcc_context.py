"""What stands beside an MCC: scikit-learn's CCA and FastICA, closed forms, laws of chance."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.cross_decomposition import CCA
from sklearn.decomposition import FastICA

from benchmark.metrics.correlation.correlations import assign_codes, pearson
from benchmark.metrics.correlation.ica import fast_ica, look_gaussian
from benchmark.metrics.correlation.mcc_context import (
    MccContext,
    effective_rank,
    mcc_context,
    weak_mcc,
)
from benchmark.metrics.scores import score

ROWS = 4000


def uniform(seed: int, rows: int = ROWS, n: int = 10) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (rows, n))


def gaussian(seed: int, rows: int = ROWS, n: int = 10) -> np.ndarray:
    return np.random.default_rng(100 + seed).normal(size=(rows, n))


def rotation(seed: int, n: int = 10) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]


@pytest.mark.parametrize("noise", [0.1, 1.0, 3.0])
def test_canonical_correlations_are_scikit_learns(noise: float) -> None:
    z = uniform(0, n=4)
    codes = z @ np.random.default_rng(1).normal(size=(4, 6)) + noise * gaussian(0, n=6)
    half = ROWS // 2
    fit = CCA(4, max_iter=5000, tol=1e-12).fit(z[:half], codes[:half])
    pairs = zip(*(part.T for part in fit.transform(z[half:], codes[half:])), strict=True)
    expected = np.mean([abs(np.corrcoef(a, b)[0, 1]) for a, b in pairs])
    assert weak_mcc(z, codes) == pytest.approx(expected, abs=2e-3)


def test_components_are_those_of_scikit_learns_fastica() -> None:
    codes = uniform(2) @ np.random.default_rng(3).normal(size=(10, 10))
    ours = fast_ica(codes, 10, seed=0)
    theirs = FastICA(whiten="unit-variance", max_iter=1000, tol=1e-8, random_state=0).fit(codes)
    agreement = assign_codes(pearson(theirs.transform(codes), ours.components(codes)))[1]
    assert ours.converged
    assert (agreement > 0.9999).all()


def test_rotations_of_uniform_factors_are_undone() -> None:
    z = uniform(4)
    found = mcc_context(z, z @ rotation(5) * np.logspace(-3, 3, 10) + 2)
    assert found.mcc < 0.8
    assert found.ica_mcc is not None
    assert found.ica_mcc > 0.99
    assert found.weak_mcc > 0.999
    assert found.ica_remark is None


def test_gaussian_codes_are_withheld_and_gaussian_components_counted() -> None:
    z = gaussian(6)
    found = mcc_context(z, z @ rotation(7))
    assert found.ica_mcc is found.ica_per_factor is None
    assert "withheld, since all its components look Gaussian" in str(found)
    mixed = np.hstack([uniform(8)[:, :5] * np.sqrt(3), z[:, :5]])
    found = mcc_context(mixed, mixed @ rotation(9))
    assert "5 of 10 ICA components look Gaussian" in str(found)


def test_a_rotation_that_does_not_settle_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.metrics.correlation.ica._ROUNDS", 1)
    z = uniform(10)
    assert "ICA did not converge" in mcc_context(z, z @ rotation(11)).notes()[-1]


def test_gaussians_look_gaussian_and_others_do_not() -> None:
    assert look_gaussian(gaussian(12, n=200)).mean() > 0.99
    assert not look_gaussian(uniform(13)).any()
    assert not look_gaussian(np.random.default_rng(14).laplace(size=(ROWS, 10))).any()


@pytest.mark.parametrize("codes", [10, 30])
def test_the_null_level_is_near_its_approximation_and_above_noise(codes: int) -> None:
    z = uniform(15)
    found = mcc_context(z, gaussian(15, n=codes))
    approximation = np.sqrt(2 * np.log(codes) / ROWS)
    assert 0.6 * approximation < found.null_level < 1.1 * approximation
    assert found.mcc < found.null_level < found.factor_level
    assert found.coverage == 0
    assert "not above its null level" in str(found)


def test_noise_rarely_exceeds_its_null_level() -> None:
    above = 0
    for seed in range(30):
        found = mcc_context(uniform(seed, 400, 4), gaussian(seed, 400, 4), seed=seed)
        above += found.mcc > found.null_level
    assert above <= 2  # the chance of one is 1 in 101


def test_angles_have_a_higher_null_level() -> None:
    z = uniform(16, n=4) * np.pi
    codes = gaussian(16, n=4)
    lines, circles = mcc_context(z, codes), mcc_context(z, codes, circular=[True] * 4)
    assert circles.null_level > lines.null_level
    assert circles.mcc < circles.null_level


def test_perfect_codes_reach_the_top_of_all() -> None:
    z = uniform(17)
    found = mcc_context(z, z[:, ::-1] * 3)
    top = [found.mcc, found.held_out_mcc, found.coverage, found.weak_mcc, found.ica_mcc]
    assert top == pytest.approx([1] * 5, abs=0.01)
    assert found.gap == pytest.approx(0, abs=1e-9)
    assert found.effective_rank == pytest.approx(10, abs=0.01)
    assert found.notes() == []
    assert found.mcc == pytest.approx(score(z, z).mcc)


def test_bent_codes_have_a_gap() -> None:
    z = uniform(18)
    found = mcc_context(z, np.exp(4 * z))
    assert found.gap > 0.2
    assert "codes are bent" in str(found)


def test_factors_without_a_code_count_as_nothing() -> None:
    z = uniform(19)
    found = mcc_context(z, z[:, :7])
    assert found.mcc == pytest.approx(0.7)
    assert found.coverage == pytest.approx(0.7)
    assert found.effective_rank == pytest.approx(7, abs=0.01)


def test_dependent_factors_are_named() -> None:
    z = uniform(20)
    z[:, 1] += z[:, 0]
    found = mcc_context(z, z)
    assert found.factor_correlation == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert "two factors correlate" in str(found)


def test_effective_rank_is_the_number_of_equal_values() -> None:
    assert effective_rank(np.kron(np.eye(4), np.array([[1.0], [-1.0]])) + 7) == pytest.approx(4)
    assert effective_rank(np.ones((9, 3))) == 0
    shares = np.array([3, 1]) / 4
    column = np.array([1.0, -1.0, 0, 0])
    rows = np.stack([3 * column, column[::-1]], axis=1)
    assert effective_rank(rows) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


@pytest.mark.filterwarnings("ignore::benchmark.metrics.remarks.FewRowsWarning")
def test_collapsed_codes_few_rows_and_many_codes_have_a_record() -> None:
    z = uniform(21, 200, 3)
    assert mcc_context(z, np.ones((200, 3))).ica_mcc is None
    assert np.isfinite(mcc_context(z[:8], z[:8]).mcc)
    assert np.isfinite(mcc_context(z, gaussian(21, 200, 300)).weak_mcc)


def test_json_round_trip() -> None:
    z = uniform(22, 500, 3)
    for codes in (z, gaussian(22, 500, 3)):
        found = mcc_context(z, codes, labels=["x", "y", "z"])
        again = MccContext.from_json(json.loads(json.dumps(found.to_json())))
        assert str(again) == str(found)
