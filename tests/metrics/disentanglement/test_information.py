"""MIG, SAP, modularity and InfoMEC against scikit-learn and closed forms."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, mutual_info_score

from benchmark.metrics.disentanglement.information import (
    BINS,
    Information,
    entropy,
    information,
    mutual_information,
    rank_bins,
)

ROWS = 4000


def uniform(seed: int, n: int = 6, rows: int = ROWS) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (rows, n))


def rotation(seed: int, n: int = 6) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]


def test_mutual_information_is_scikit_learns() -> None:
    z = uniform(0, 3)
    codes = z @ rotation(1, 3)
    factors, bins = rank_bins(z), rank_bins(codes)
    expected = [[mutual_info_score(a, b) for b in factors.T] for a in bins.T]
    assert mutual_information(bins, factors) == pytest.approx(np.array(expected), abs=1e-12)
    assert entropy(factors[:, 0]) == pytest.approx(np.log(BINS), abs=1e-6)


def test_bins_hold_equal_counts_and_equal_values_share_one() -> None:
    counts = np.bincount(rank_bins(uniform(2, 1))[:, 0])
    assert (counts == ROWS / BINS).all()
    assert len(np.unique(rank_bins(np.repeat([[0.0], [1.0]], 50, axis=0)))) == 2


@pytest.mark.parametrize("bend", [lambda z: z, lambda z: z**3, lambda z: np.exp(5 * z)])
def test_permutations_that_are_bent_are_near_the_top(bend: object) -> None:
    z = uniform(3)
    found = information(z, bend(z)[:, ::-1])  # type: ignore[operator]
    assert [found.mig, found.modularity, found.info_m, found.info_c] == pytest.approx(
        [1] * 4, abs=0.06
    )
    assert found.notes() == []


def test_sap_is_the_gap_of_squared_correlations() -> None:
    z = uniform(4, 2)
    codes = np.stack([z[:, 0], z[:, 0] + z[:, 1], z[:, 1]], axis=1)
    squares = np.corrcoef(codes.T, z.T)[:3, 3:] ** 2
    ordered = np.sort(squares, axis=0)
    assert information(z, codes).sap == pytest.approx((ordered[-1] - ordered[-2]).mean())


def test_rotations_are_low() -> None:
    z = uniform(5)
    found = information(z, z @ rotation(6))
    assert found.mig is not None
    assert found.mig < 0.2
    assert found.info_m is not None
    assert found.info_m < 0.6
    assert found.sap is not None
    assert found.sap < 0.4


@pytest.mark.parametrize("rows", [500, 2000])
def test_noise_is_withheld(rows: int) -> None:
    for seed in range(5):
        codes = np.random.default_rng(50 + seed).normal(size=(rows, 6))
        found = information(uniform(seed, rows=rows), codes, seed=seed)
        values = [found.mig, found.sap, found.modularity, found.info_m, found.info_c]
        assert values == [None] * 5
        assert found.info_e < 0.01
        assert "all scores but InfoE are withheld" in str(found)


def test_infoe_is_high_for_linear_codes_and_lower_for_bent_ones() -> None:
    z = uniform(13, rows=10_000)
    for codes in (z, z @ rotation(14), np.hstack([z, z])):
        assert information(z, codes).info_e == pytest.approx(0.993, abs=0.005)
    assert information(z, np.tanh(8 * z)).info_e < 0.93
    assert information(z, z[:, :3]).info_e == pytest.approx(0.993 / 2, abs=0.005)


def test_infoe_is_scikit_learns_without_a_ridge() -> None:
    z = uniform(15, 2, 600)
    codes = z @ rotation(16, 2) + 0.3 * np.random.default_rng(17).normal(size=z.shape)
    bins, half = rank_bins(z) // 4, 300
    expected = []
    for column in bins.T:
        model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=5000)
        model.fit(codes[:half], column[:half])
        shares = np.bincount(column[:half]) / half
        alone = log_loss(column[half:], np.tile(shares, (half, 1)), labels=range(5))
        loss = log_loss(column[half:], model.predict_proba(codes[half:]), labels=range(5))
        expected.append(1 - loss / alone)
    assert information(z, codes).info_e == pytest.approx(np.mean(expected), abs=1e-3)


def test_copies_close_the_gap_and_lower_completeness_alone() -> None:
    z = uniform(7)
    found = information(z, np.hstack([z, z]))
    assert found.mig == pytest.approx(0, abs=0.01)
    assert found.info_m == pytest.approx(1, abs=0.06)
    assert found.info_c == pytest.approx((1 / 2 - 1 / 12) / (1 - 1 / 12), abs=0.03)


def test_two_factors_in_each_code_have_half_of_infom() -> None:
    z = uniform(8, 4)
    found = information(z, np.stack([z[:, 0] + z[:, 1], z[:, 2] + z[:, 3]], axis=1))
    assert found.info_m == pytest.approx((1 / 2 - 1 / 4) / (1 - 1 / 4), abs=0.03)
    assert found.modularity == pytest.approx(1 - 1 / 3, abs=0.03)


def test_codes_of_noise_do_not_count() -> None:
    z = uniform(9)
    noise = np.random.default_rng(10).normal(size=(ROWS, 4))
    one, more = information(z, z[:, :5]), information(z, np.hstack([z[:, :5], noise]))
    assert more.info_m == pytest.approx(one.info_m, abs=0.01)
    assert "1 factors" in str(one)


def test_the_origin_of_an_angle_matters_little() -> None:
    angle = np.random.default_rng(11).uniform(-np.pi, np.pi, (ROWS, 2))
    codes = np.hstack([np.cos(angle[:, :1]), np.cos(angle[:, 1:])])
    found = [information(angle + turn, codes, circular=[True] * 2) for turn in (0, 1, 20)]
    assert [each.mig for each in found] == pytest.approx([found[0].mig] * 3, abs=0.03)


def test_collapsed_codes_are_withheld_and_survive_json() -> None:
    z = uniform(12, 2, 300)
    for codes in (np.ones((300, 2)), z):
        found = information(z, codes, labels=["x", "y"])
        again = Information.from_json(json.loads(json.dumps(found.to_json())))
        assert str(again) == str(found)
    assert information(z, np.ones((300, 2))).mig is None
