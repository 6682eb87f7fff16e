"""Spreads, intervals and gaps against scipy, closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.leaderboard.verification.statistics import (
    FALSE_ALARMS,
    SUSPICIOUS,
    Spread,
    difference_interval,
    public_minus_fresh,
    spread,
)
from benchmark.metrics.scores import score


def test_spread_is_the_sample_standard_deviation() -> None:
    values = [0.5, 0.7, 0.9]
    assert spread(values) == (pytest.approx(0.7), pytest.approx(0.2), 3)
    assert spread([0.5]) == (0.5, None, 1)


@pytest.mark.parametrize("count", [2, 3, 8])
def test_the_interval_of_a_mean_is_students(count: int) -> None:
    values = np.random.default_rng(count).normal(0.5, 0.1, count)
    expected = stats.ttest_1samp(values, 0.5).confidence_interval(0.95)
    assert spread(values.tolist()).interval == pytest.approx(tuple(expected))
    assert spread([0.5]).interval is None
    assert Spread(0.5, 0.1, 1).interval is None  # a deviation of a paper, over other things


@pytest.mark.parametrize("counts", [(2, 2), (3, 3), (2, 3), (3, 7)])
def test_intervals_are_welchs(counts: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(counts))
    row, best = (rng.normal(0.5, scale, n) for scale, n in zip((0.1, 0.01), counts, strict=True))
    expected = stats.ttest_ind(row, best, equal_var=False).confidence_interval(0.95)
    assert difference_interval(list(row), list(best)) == pytest.approx(tuple(expected))


def test_intervals_of_one_seed_and_of_seeds_that_agree() -> None:
    assert difference_interval([0.5], [0.6, 0.7]) is None
    assert difference_interval([0.5, 0.5], [0.75, 0.75]) == (-0.25, -0.25)


def codes_of(z: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    return (z + noise * rng.normal(size=z.shape)).astype(np.float32)


def draw(n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-1, 1, (n, 10)).astype(np.float32)


def gaps(noise: float, fresh_noise: float, seed: int, rows: int = 300) -> dict[str, float]:
    """Public minus fresh in standard errors, of codes that are noisier on fresh rows."""
    rng = np.random.default_rng(seed)
    z, fresh = draw(2000, rng), draw(rows, rng)
    public = [codes_of(z, noise, rng) for _ in range(3)]
    other = [codes_of(fresh, fresh_noise, rng) for _ in range(3)]
    found = public_minus_fresh((z, public), (fresh, other))
    return {name: gap.difference / gap.standard_error for name, gap in found.items()}


def test_the_level_of_the_mark_is_that_of_two_normal_scores_together() -> None:
    one = 2 * stats.norm.sf(SUSPICIOUS)
    assert 2 * one == pytest.approx(FALSE_ALARMS)


@pytest.mark.slow
def test_gaps_of_equal_codes_are_within_chance() -> None:
    """Standard normal about: no bias from the fewer rows, and errors of the right size."""
    found = [gaps(0.5, 0.5, seed) for seed in range(8)]
    for name in ("r2", "mcc"):
        values = [each[name] for each in found]
        assert abs(np.mean(values)) < 1.0
        assert 0.3 < np.std(values) < 2.0


def test_gaps_of_codes_that_fail_on_fresh_rows_stand_out() -> None:
    found = gaps(0.5, 0.8, 0)
    assert found["r2"] > 3
    assert found["mcc"] > 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::benchmark.metrics.remarks.FewRowsWarning")
def test_a_plain_difference_would_be_biased() -> None:
    """Why subsets: R^2 that is fitted on fewer rows is lower for the very same codes."""
    rng = np.random.default_rng(0)
    falls = []
    for _ in range(20):
        z, fresh = draw(2000, rng), draw(60, rng)
        whole = score(z, codes_of(z, 0.5, rng)).r2
        falls.append(whole - score(fresh, codes_of(fresh, 0.5, rng)).r2)
    assert np.mean(falls) > 0.05
    assert abs(np.mean([gaps(0.5, 0.5, seed, rows=60)["r2"] for seed in range(6)])) < 1.0
