"""How many of the true neighbours an approximate search finds, and how far it must look for that.

A trial's queries lie beside the points: in turns, about as far as these are from each other, and
as far as they would be if there were 32 times fewer of them. So points that come in tight groups
are looked for from within the groups and from between them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from threedident.latents.philox import uniforms
from threedident.neighbors import Points, Rows, rank

NEIGHBORS = 2  # what positive pairs ask for

_TUNING, _HELD_OUT = 8192, 4096  # queries
_STREAM = 100
_SAMPLE = 512
_FEWER = 32

Search = Callable[[Points, int], Rows]
Exact = Callable[[Points], Search]
Setting = TypeVar("Setting")


class Trial(NamedTuple):
    """Queries whose nearest points are known.

    Arguments:
        points: what is searched, shape (N, d).
        queries: shape (Q, d).
        within: distance of the last of their ``NEIGHBORS`` nearest points, shape (Q, 1).
    """

    points: Points
    queries: Points
    within: NDArray[np.float64]

    def recall(self, search: Search) -> float:
        """The share of the nearest points that are found, ties counting as found.

        Arguments:
            search: finds candidates, given queries and how many neighbours are wanted.
        """
        return float((_distances(self.points, self.queries, search) <= self.within).mean())


def trials(points: Points, exact: Exact) -> tuple[Trial, Trial]:
    """Two trials of different queries, to tune by and to judge by; the same ones each time.

    Arguments:
        points: shape (N, d).
        exact: gives a search of points whose candidates hold the nearest ones.
    """
    spacings = [_spacing(some, exact(some)) for some in (points, points[::_FEWER].copy())]
    queries = _beside(points, spacings, _TUNING + _HELD_OUT)
    within = _distances(points, queries, exact(points))[:, -1:]
    return (
        Trial(points, queries[:_TUNING], within[:_TUNING]),
        Trial(points, queries[_TUNING:], within[_TUNING:]),
    )


def cheapest(
    ladders: Sequence[Sequence[Setting]], recall: Callable[[Setting], float], target: float
) -> Setting:
    """The cheapest setting that reaches a recall, or else the last one.

    Arguments:
        ladders: settings, dearer and better along a ladder and from ladder to ladder. That one
            is climbed whose end, as the first of them, misses at most half of what may be missed.
        recall: that of a setting.
        target: the recall to reach.
    """
    enough = (1.0 + target) / 2.0
    good = (ladder for ladder in ladders[:-1] if recall(ladder[-1]) >= enough)
    ladder = next(good, ladders[-1])
    return ladder[min(bisect_left(ladder, target, key=recall), len(ladder) - 1)]


def _spacing(points: Points, search: Search) -> float:
    """Median distance of points from the nearest other one."""
    some = points[:: -(-len(points) // _SAMPLE)]
    return float(np.median(_distances(points, some, search)[:, -1]))


def _beside(points: Points, spacings: list[float], count: int) -> Points:
    """Rows with noise of these root mean squares in turns."""
    n, d = points.shape
    u = uniforms(0, (_STREAM,), np.arange(count), 1 + d)
    rows = points[(u[:, 0] * n).astype(np.int64)]
    reach = np.resize(spacings, (count, 1)) * np.sqrt(3.0 / d)  # sqrt(3): deviation of [-1, 1]
    return np.asarray(rows + reach * (2.0 * u[:, 1:] - 1.0), np.float32)


def _distances(points: Points, queries: Points, search: Search) -> NDArray[np.float64]:
    """Distances of the nearest points among a search's candidates, shape (Q, ``NEIGHBORS``)."""
    k = min(NEIGHBORS, len(points))
    return np.asarray(rank(points, queries, search(queries, k), k).distances)
