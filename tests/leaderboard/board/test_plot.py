"""The plot of the board: where marks, bars and letters lie."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmark.leaderboard.board.plot import (
    BOTTOM,
    HEIGHT,
    LEFT,
    LETTERED,
    RIGHT,
    SHAPES,
    TOP,
    WIDTH,
    Point,
    plot,
    point,
)
from benchmark.leaderboard.submission.submission import Supervision
from benchmark.leaderboard.verification.statistics import Spread


def points(*scores: tuple[float, float], sd: float | None = 0.01) -> list[Point]:
    kinds, seeds = list(SHAPES), 1 if sd is None else 3
    return [
        Point(f"id-{i}", f"Method {i}", kinds[i % 4], True, *(Spread(s, sd, seeds) for s in both))
        for i, both in enumerate(scores)
    ]


def scattered(count: int, seed: int = 0) -> list[Point]:
    return points(*np.random.default_rng(seed).uniform(-0.1, 1.0, (count, 2)).tolist())


def test_every_kind_of_supervision_has_a_shape_of_its_own() -> None:
    assert set(SHAPES) == set(Supervision.__args__)  # type: ignore[attr-defined]
    assert len(set(SHAPES.values())) == len(SHAPES)


@pytest.mark.parametrize("seed", range(5))
def test_marks_and_bars_follow_the_scores(seed: int) -> None:
    shown = scattered(40, seed)
    drawn = plot(shown)
    assert drawn is not None
    assert [mark.point for mark in drawn.marks] == shown
    for axis, scale, low, high in ((0, drawn.x, LEFT, RIGHT), (1, drawn.y, BOTTOM, TOP)):
        name = ("r2", "mcc")[axis]
        values = np.array([getattr(p, name).mean for p in shown])
        pixels = np.array([mark.place[axis] for mark in drawn.marks])
        slope, offset = np.polyfit(values, pixels, 1)
        assert np.abs(slope * values + offset - pixels).max() < 0.02
        assert (slope > 0) == (axis == 0)  # to the right, and upwards
        for mark in drawn.marks:
            bar = mark.across if axis == 0 else mark.along
            assert bar is not None
            reach = 4.30265 * 0.01 / math.sqrt(3)  # t of 2 degrees of freedom, from a table
            ends = offset + slope * (getattr(mark.point, name).mean + np.array([-reach, reach]))
            assert bar == pytest.approx(np.clip(ends, min(low, high), max(low, high)), abs=0.05)
        ticks = [float(text) for text, _ in scale.ticks]
        assert 2 <= len(ticks) <= 7
        assert max(ticks) <= 100
        assert np.diff(ticks) == pytest.approx(np.full(len(ticks) - 1, ticks[1] - ticks[0]))


@pytest.mark.parametrize(
    "scores",
    [[(0.5, 0.5)], [(1.0, 1.0)], [(0.999, 0.9991), (0.9992, 1.0)], [(0.0, 0.0), (1.0, 1.0)]],
    ids=str,
)
@pytest.mark.parametrize("sd", [None, 0.0, 0.3])
def test_extreme_boards_stay_within_the_plot(
    scores: list[tuple[float, float]], sd: float | None
) -> None:
    drawn = plot(points(*scores, sd=sd))
    assert drawn is not None
    for mark in drawn.marks:
        assert (mark.across is None) == (sd is None)
        for x in (mark.place[0], *(mark.across or ())):
            assert LEFT <= x <= RIGHT
        for y in (mark.place[1], *(mark.along or ())):
            assert TOP <= y <= BOTTOM
        assert 0 < mark.label[0] < WIDTH
        assert 0 < mark.label[1] < HEIGHT


@pytest.mark.parametrize("seed", range(5))
def test_letters_stand_apart_and_beside_their_marks(seed: int) -> None:
    drawn = plot(scattered(LETTERED, seed))
    assert drawn is not None
    for i, mark in enumerate(drawn.marks):
        assert math.dist(mark.label, mark.place) < 35
        for other in drawn.marks[:i]:
            apart = np.abs(np.subtract(mark.label, other.label)) >= (8, 11)
            assert apart.any()
    cluster = plot(points((0.967, 0.983), (0.968, 0.984), (0.987, 0.993), (0.4, 0.4)))
    assert cluster is not None
    distances = [[math.dist(m.label, o.place) for o in cluster.marks] for m in cluster.marks]
    nearest = np.argmin(distances, axis=1)
    assert nearest[2:].tolist() == [2, 3]
    assert set(nearest[:2]) <= {0, 1}  # one lies on the other


def test_only_the_first_rows_have_letters_and_stand_in_the_key() -> None:
    drawn = plot(scattered(500))
    assert drawn is not None
    assert sum(bool(mark.letter) for mark in drawn.marks) == LETTERED
    keyed = [mark.point for marks in drawn.key.values() for mark in marks]
    assert sorted(p.id for p in keyed) == sorted(f"id-{i}" for i in range(LETTERED))
    assert all(
        mark.point.supervision == kind for kind, marks in drawn.key.items() for mark in marks
    )


def test_rows_without_a_score_are_not_drawn() -> None:
    assert plot([]) is None
    found, none = {"mean": 0.5, "sd": None, "seeds": 1}, None
    row = {"id": "a", "method": "A", "supervision": "none", "fresh": {"r2": none, "mcc": none}}
    assert point({**row, "public": {"r2": found, "mcc": none}}) is None
    shown = point({**row, "public": {"r2": found, "mcc": found}})
    assert shown is not None
    assert not shown.fresh
    assert point({**row, "fresh": {"r2": found, "mcc": found}}).fresh  # type: ignore[union-attr]
