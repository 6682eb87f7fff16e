"""The plot of a data set: MCC against R^2 of every row, with 95 % intervals over seeds as bars.

This module computes all positions in pixels of the plot, so that the page needs no JavaScript to
draw it. A filled mark shows scores on the fresh split. A hollow mark shows scores on the public
split or figures of a paper, for rows without a fresh split.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from string import ascii_lowercase
from typing import Any, NamedTuple

from benchmark.leaderboard.verification.statistics import Spread

LETTERED = 12
WIDTH, HEIGHT = 350, 300
LEFT, RIGHT, TOP, BOTTOM = 44, 332, 16, 258
SHAPES = {
    "none": "M-4.5 0a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0-9 0z",
    "augmentations": "M0-5.2L5.2 4.2H-5.2z",
    "pairs": "M-4-4h8v8h-8z",
    "full": "M0-5.8L5.8 0L0 5.8L-5.8 0z",
}
_REACH = 5.0  # half the size of a mark in pixels
_LETTER = 8.0, 11.0  # width and height of a letter in pixels
_AMBIGUITY = 40.0  # penalty for a letter near another mark, in square pixels of overlap
_EDGE = 6.0  # width of the border without letters in pixels
_MARGIN = 0.04  # relative to the range
_STEPS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
_MOST_TICKS = 6


class Point(NamedTuple):
    """A row of the board.

    Arguments:
        id: id of the row.
        method: name of its method.
        supervision: its kind of supervision.
        fresh: True if the scores are from the fresh split.
        r2: R^2 over seeds, at most 1.
        mcc: MCC over seeds, at most 1.
    """

    id: str
    method: str
    supervision: str
    fresh: bool
    r2: Spread
    mcc: Spread


class Mark(NamedTuple):
    """A row in the plot.

    Arguments:
        point: the row.
        place: position of its centre in pixels.
        across: ends of the horizontal bar of R^2 in pixels; None for one seed.
        along: ends of the vertical bar of MCC in pixels; None for one seed.
        letter: letter of the mark in the key; empty if it has none.
        label: position of the letter in pixels.
    """

    point: Point
    place: tuple[float, float]
    across: tuple[float, float] | None
    along: tuple[float, float] | None
    letter: str
    label: tuple[float, float]


class Scale(NamedTuple):
    """A linear map from percent to pixels.

    Arguments:
        low: percent at pixel ``start``.
        high: percent at pixel ``end``.
        start: first end of the axis in pixels.
        end: other end of the axis in pixels.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, percent: float) -> float:
        """The pixel of a percentage, limited to the plot."""
        share = (min(max(percent, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)

    @property
    def ticks(self) -> list[tuple[str, float]]:
        """Label and pixel of each tick."""
        step = _step(self.high - self.low)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [(f"{k * step:g}", self(k * step)) for k in range(first, last + 1)]


class Plot(NamedTuple):
    """Everything that the page draws for a data set.

    Arguments:
        x: scale of R^2.
        y: scale of MCC.
        marks: marks in the order of the rows.
        key: marks with a letter, by supervision.
    """

    x: Scale
    y: Scale
    marks: list[Mark]
    key: Mapping[str, list[Mark]]


def plot(points: Sequence[Point]) -> Plot | None:
    """The plot of MCC against R^2; None without points.

    Arguments:
        points: points of the rows. The first :data:`LETTERED` of them get a letter.
    """
    if not points:
        return None
    x = _scale([point.r2 for point in points], LEFT, RIGHT)
    y = _scale([point.mcc for point in points], BOTTOM, TOP)
    places = [(x(100 * p.r2.mean), y(100 * p.mcc.mean)) for p in points]
    labels = _labels(places[:LETTERED], places)
    marks = [
        Mark(
            point,
            place,
            _ends(x, point.r2),
            _ends(y, point.mcc),
            ascii_lowercase[i] if i < LETTERED else "",
            labels[i] if i < LETTERED else place,
        )
        for i, (point, place) in enumerate(zip(points, places, strict=True))
    ]
    key: dict[str, list[Mark]] = {}
    for mark in marks[:LETTERED]:
        key.setdefault(mark.point.supervision, []).append(mark)
    return Plot(x, y, marks, key)


def point(row: Mapping[str, Any]) -> Point | None:
    """The point of a row, given as data of the page; None if a score is missing."""
    fresh = row["fresh"]["mcc"] is not None
    scores = row["fresh" if fresh else "public"]
    if scores["r2"] is None or scores["mcc"] is None:
        return None
    r2, mcc = (Spread(**scores[name]) for name in ("r2", "mcc"))
    return Point(row["id"], row["method"], row["supervision"], fresh, r2, mcc)


def _step(span: float) -> float:
    return next((s for s in _STEPS if span / s <= _MOST_TICKS), math.ceil(span / _MOST_TICKS))


def _scale(spreads: Sequence[Spread], start: float, end: float) -> Scale:
    """A scale that includes all bars and begins and ends at ticks, at most at 100."""
    ends = [100 * end for s in spreads for end in s.interval or (s.mean,)]
    low, high = min(ends), max(ends)
    margin = max(_MARGIN * (high - low), 0.5)
    low, high = low - margin, high + margin
    step = _step(high - low)
    low, high = step * math.floor(low / step), min(step * math.ceil(high / step), 100.0)
    return Scale(min(low, high - step), high, start, end)


def _ends(scale: Scale, found: Spread) -> tuple[float, float] | None:
    if found.interval is None:
        return None
    low, high = found.interval
    return scale(100 * low), scale(100 * high)


def _labels(
    lettered: Sequence[tuple[float, float]], places: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Positions of the letters: near their marks, with the least overlap with other things."""
    wide, high = _LETTER
    taken = [(x, y, _REACH, _REACH) for x, y in places]
    found = []
    for x, y in lettered:
        ways = [
            (x + a * (distance + wide / 2), y + b * (distance + high / 2))
            for distance in (_REACH, 2.5 * _REACH, 4 * _REACH)
            for a, b in product((1, -1, 0), repeat=2)
            if a or b
        ]
        inside = [w for w in ways if LEFT < w[0] <= WIDTH - _EDGE and _EDGE <= w[1] < BOTTOM]
        best = min(
            inside, key=lambda w: _covered(w, taken) + _AMBIGUITY * _rivals(w, (x, y), places)
        )
        taken.append((*best, wide / 2, high / 2))
        found.append((round(best[0], 2), round(best[1], 2)))
    return found


def _covered(
    label: tuple[float, float], taken: Sequence[tuple[float, float, float, float]]
) -> float:
    """Area in square pixels in which a letter would overlap marks and other letters."""
    wide, high = (side / 2 for side in _LETTER)
    return sum(
        max(0.0, wide + a - abs(label[0] - x)) * max(0.0, high + b - abs(label[1] - y))
        for x, y, a, b in taken
    )


def _rivals(
    label: tuple[float, float], own: tuple[float, float], places: Sequence[tuple[float, float]]
) -> int:
    """Number of other marks that are about as near to a letter as its own mark.

    Marks that lie on its own mark do not count.
    """
    near = math.dist(label, own) + _REACH / 2
    return sum(math.dist(own, p) > _REACH and math.dist(label, p) < near for p in places)
