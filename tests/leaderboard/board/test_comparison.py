"""Intervals of differences to the best row, against closed forms, limits and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.leaderboard.board.comparison import Sample, best_intervals
from benchmark.leaderboard.verification.statistics import difference_interval

N = 512


def sample(
    mean: float,
    rng: np.random.Generator,
    images: np.ndarray | float = 0.0,
    spread: float = 0.01,
    seeds: int = 3,
    mixed: float = 0.0,
) -> Sample:
    """A row whose seeds share the influences ``images`` and have some of their own."""
    influences = images + mixed * rng.normal(size=(seeds, N))
    scores = mean + spread * rng.normal(size=seeds) + influences.mean(axis=1)
    return Sample(scores, influences - influences.mean(axis=1, keepdims=True))


def test_without_images_two_rows_have_welchs_interval() -> None:
    rng = np.random.default_rng(0)
    rows = [sample(mean, rng, seeds=10) for mean in (0.5, 0.6)]
    found, best = best_intervals(rows)
    expected = difference_interval([*rows[0].scores], [*rows[1].scores])
    assert best is None
    assert found is not None
    assert expected is not None
    assert found == pytest.approx(expected, rel=0.03)


def test_without_seeds_two_rows_have_the_paired_interval_over_images() -> None:
    rng = np.random.default_rng(1)
    effects = [rng.normal(size=N), rng.normal(size=N)]
    rows = [
        sample(mean, rng, e - e.mean(), spread=0.0)
        for mean, e in zip((0.5, 0.9), effects, strict=True)
    ]
    [found, _] = best_intervals(rows)
    assert found is not None
    reach = stats.norm.ppf(0.975) * np.std(effects[0] - effects[1]) / np.sqrt(N)
    assert (found[1] - found[0]) / 2 == pytest.approx(reach, rel=0.03)
    assert (found[1] + found[0]) / 2 == pytest.approx(-0.4)


def test_errors_on_the_same_images_cancel_and_others_do_not() -> None:
    rng = np.random.default_rng(2)
    effects = rng.normal(size=(2, N))
    same = best_intervals([sample(0.5, rng, effects[0]) for _ in range(2)])
    other = best_intervals([sample(0.5, rng, effect) for effect in effects])
    widths = [next(e[1] - e[0] for e in each if e is not None) for each in (same, other)]
    assert widths[1] > 2 * widths[0]


def test_more_rows_have_wider_intervals_unless_they_are_far_below() -> None:
    rng = np.random.default_rng(3)
    effects = 0.3 * rng.normal(size=(12, N))
    pair = [sample(0.9, rng, each, 0.001) for each in effects[:2]]
    near = [sample(0.9, rng, each, 0.001) for each in effects[2:]]
    far = [sample(0.2, rng, each, 0.001) for each in effects[2:]]

    def width(rows: list[Sample]) -> float:
        return next(e[1] - e[0] for e in best_intervals(rows)[:2] if e is not None)

    near = [each._replace(scores=each.scores - 0.01) for each in near]
    assert width(pair) < width([*pair, *near])
    assert width([*pair, *far]) < width([*pair, *near])


def test_intervals_are_the_same_each_time_and_in_each_order() -> None:
    rng = np.random.default_rng(4)
    rows = [sample(0.5, rng, rng.normal(size=N)) for _ in range(4)]
    assert best_intervals(rows) == best_intervals(rows)
    turned = best_intervals(rows[::-1])[::-1]
    for here, there in zip(best_intervals(rows), turned, strict=True):
        assert (here is None) == (there is None)
        assert here is None or here == pytest.approx(there, abs=0.02 * (here[1] - here[0]))


def test_a_best_row_of_another_score_is_compared_with_all() -> None:
    rng = np.random.default_rng(6)
    rows = [sample(mean, rng, 0.2 * rng.normal(size=N)) for mean in (0.5, 0.6, 0.3)]
    found = best_intervals(rows, 0)
    assert found[0] is None
    assert found[1] is not None
    assert found[2] is not None
    assert sum(found[1]) / 2 == pytest.approx(rows[1].scores.mean() - rows[0].scores.mean())
    picked = best_intervals(rows)
    assert picked[1] is None
    assert picked[2] is not None
    assert found[2][1] < 0


def test_one_row_no_rows_and_rows_that_are_equal_in_all() -> None:
    rng = np.random.default_rng(5)
    row = sample(0.5, rng, spread=0.0)
    assert best_intervals([]) == []
    assert best_intervals([row]) == [None]
    assert best_intervals([row, row, row]) == [None, (0.0, 0.0), (0.0, 0.0)]


@pytest.mark.parametrize("rows", [2, 10])
@pytest.mark.parametrize("own", [False, True], ids=["shared", "own"])
def test_equal_rows_are_rarely_called_different(rows: int, own: bool) -> None:
    """At 5 %, by the binomial law of 200 seasons."""
    called = 0
    for season in range(200):
        rng = np.random.default_rng((season, rows, own))
        effects = np.broadcast_to(0.2 * rng.normal(size=(rows if own else 1, N)), (rows, N))
        seasons = [sample(0.5, rng, each, 0.005, mixed=0.1) for each in effects]
        found = [each for each in best_intervals(seasons, draws=500) if each is not None]
        called += any(high < 0 or low > 0 for low, high in found)
    low, high = stats.binom.ppf([1e-4, 1 - 1e-4], 200, 0.05)
    assert low <= called <= high
