"""Circular factors: closed forms, numpy's least squares, and laws of angles."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.stats import rankdata

from benchmark.metrics import Scores, probe, score
from benchmark.metrics.correlation.correlations import pearson, spearman
from benchmark.metrics.disentanglement.dci import dci
from benchmark.metrics.probes import nonlinear_r2
from benchmark.metrics.scores import linear_r2, linear_readout

ROWS = 20_000


def case(seed: int, rows: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """One factor of the line, two angles, and five codes of all kinds."""
    rng = np.random.default_rng(seed)
    z = np.stack(
        [
            rng.uniform(-1, 1, rows),
            rng.uniform(-np.pi, np.pi, rows),
            rng.vonmises(1.0, 1.5, rows),
        ],
        axis=1,
    )
    codes = np.stack(
        [z[:, 0], np.cos(z[:, 1]), np.sin(z[:, 1]), np.exp(np.cos(z[:, 2] - 2)), z[:, 2]], axis=1
    )
    return z, codes + rng.normal(0, 0.3, codes.shape)


CIRCULAR = (False, True, True)


def test_the_correlation_is_mardias() -> None:
    z, codes = case(0)
    for rows, found in (
        (codes, pearson(z, codes, circular=CIRCULAR)),
        (rankdata(codes, axis=0), spearman(z, codes, circular=CIRCULAR)),
    ):
        for i in (1, 2):
            cos, sin = np.cos(z[:, i]), np.sin(z[:, i])
            between = np.corrcoef(cos, sin)[0, 1]
            for j, code in enumerate(rows.T):
                c, s = np.corrcoef(code, cos)[0, 1], np.corrcoef(code, sin)[0, 1]
                square = (c**2 + s**2 - 2 * c * s * between) / (1 - between**2)
                assert found[i, j] == pytest.approx(np.sqrt(square), abs=1e-12)


def test_r2_is_that_of_numpys_least_squares_on_cosine_and_sine() -> None:
    z, codes = case(1)
    found = linear_r2(z, codes, circular=CIRCULAR)
    design = np.hstack([codes, np.ones((len(z), 1))])
    for i in (1, 2):
        circle = np.stack([np.cos(z[:, i]), np.sin(z[:, i])], axis=1)
        weights = np.linalg.lstsq(design[:1000], circle[:1000], rcond=None)[0]
        wrong = ((circle[1000:] - design[1000:] @ weights) ** 2).sum()
        spread = ((circle[1000:] - circle[1000:].mean(axis=0)) ** 2).sum()
        assert found[i] == pytest.approx(1 - wrong / spread, abs=1e-12)
    assert found[0] == pytest.approx(linear_r2(z, codes)[0], abs=1e-12)


def test_the_number_of_an_angle_has_the_scores_of_its_closed_form() -> None:
    """cov(t, sin t) = 1, var t = pi^2 / 3 and var sin t = 1 / 2 for t uniform on the circle."""
    angle = np.random.default_rng(2).uniform(-np.pi, np.pi, (ROWS, 1))
    found = score(angle, angle, circular=[True])
    assert found.r2 == pytest.approx(3 / np.pi**2, abs=0.01)
    assert found.mcc == pytest.approx(np.sqrt(6) / np.pi, abs=0.01)


def test_half_of_a_circle_is_half_of_the_r2_and_all_of_the_correlation() -> None:
    angle = np.random.default_rng(3).uniform(-np.pi, np.pi, (ROWS, 1))
    found = score(angle, np.cos(angle - 1), circular=[True])
    assert found.r2 == pytest.approx(0.5, abs=0.01)
    assert found.mcc == pytest.approx(1)
    whole = score(
        angle, np.hstack([np.cos(angle), np.sin(angle)]), circular=[True], spare_codes=True
    )
    assert whole.r2 == pytest.approx(1)


def test_neither_origin_nor_turns_of_the_angles_matter() -> None:
    z, codes = case(4)
    moved = z + np.pi * np.array([0, 2, 12]) + [0, 0.3, 0]
    one, other = (score(each, codes, spare_codes=True, circular=CIRCULAR) for each in (z, moved))
    assert other.r2_per_factor == pytest.approx(one.r2_per_factor, abs=1e-9)
    assert other.correlation == pytest.approx(one.correlation, abs=1e-9)
    assert other.spearman == pytest.approx(one.spearman, abs=1e-9)
    found = [dci(each, codes, circular=CIRCULAR) for each in (z, moved)]
    assert found[1].importance == pytest.approx(found[0].importance, abs=0.03)


def test_a_record_says_which_factors_are_circular() -> None:
    z, codes = case(5)
    found = score(z, codes, spare_codes=True, circular=np.array(CIRCULAR))
    assert found.circular == CIRCULAR
    again = Scores.from_json(json.loads(json.dumps(found.to_json())))
    assert again.circular == CIRCULAR
    earlier = {k: v for k, v in found.to_json().items() if k != "circular"}
    assert Scores.from_json(earlier).circular is None
    assert score(z, codes, spare_codes=True, circular=[False] * 3).circular is None


def test_factors_of_the_line_have_the_scores_they_had() -> None:
    z, codes = case(6)
    one = score(z, codes, spare_codes=True).to_json()
    assert score(z, codes, spare_codes=True, circular=[False] * 3).to_json() == one
    assert probe(z, codes, circular=[False] * 3).to_json() == probe(z, codes).to_json()


def test_a_nonlinear_readout_finds_the_circle_in_its_number() -> None:
    angle = np.random.default_rng(7).uniform(-np.pi, np.pi, (4000, 1))
    assert nonlinear_r2(angle, angle, circular=[True])[0] > 0.99
    assert nonlinear_r2(angle, np.cos(angle), circular=[True])[0] == pytest.approx(0.5, abs=0.03)


def test_codes_of_one_angle_are_disentangled() -> None:
    rng = np.random.default_rng(8)
    z = rng.uniform(-np.pi, np.pi, (3000, 2))
    codes = np.hstack([np.cos(z), np.sin(z)])
    found = dci(z, codes, circular=[True, True])
    assert found.importance.shape == (4, 2)
    assert found.disentanglement == pytest.approx(1, abs=1e-3)
    assert found.completeness == pytest.approx(0.5, abs=1e-3)  # two of four codes hold an angle
    assert found.informativeness == pytest.approx(1, abs=1e-3)


def test_a_linear_readout_returns_angles() -> None:
    z = np.random.default_rng(9).uniform(-np.pi, np.pi, (500, 2))
    codes = np.hstack([np.cos(z[:, :1]), np.sin(z[:, :1]), z[:, 1:]])
    found = linear_readout(z, codes, codes, [True, False])
    assert found == pytest.approx(z, abs=1e-9)


@pytest.mark.filterwarnings("ignore::benchmark.metrics.remarks.FewRowsWarning")
@pytest.mark.parametrize("metric", [linear_r2, nonlinear_r2, dci, probe])
def test_few_rows_and_many_codes_have_scores(metric: Any) -> None:
    z, _ = case(10, 40)
    codes = np.random.default_rng(10).normal(size=(40, 30))
    metric(z, codes, circular=CIRCULAR)


def test_full_turns_are_constant_angles() -> None:
    z, codes = case(11)
    z[:, 1] = 2 * np.pi * np.arange(len(z)) + 0.5
    linear_r2(z, codes)
    with pytest.raises(ValueError, match="found tilt constant"):
        linear_r2(z, codes, circular=CIRCULAR, labels=["x", "tilt", "pan"])
    z[:, 1] = np.where(np.arange(len(z)) % 2, 1.0, -1.0)  # the cosine alone is constant
    assert np.isfinite(linear_r2(z, codes, circular=CIRCULAR)).all()


@pytest.mark.parametrize("circular", [(True,), (True, False, True, True), (0, 1, 1), ("a", "b")])
def test_wrong_kinds_are_refused(circular: Any) -> None:
    z, codes = case(12)
    with pytest.raises(ValueError, match=r"circular: expected 3 bools, one a factor, found"):
        linear_r2(z, codes, circular=circular)
