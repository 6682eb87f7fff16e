"""Choice, tuning and recall of an index.

An approximate index is tuned to a recall of 0.9995 on 8,192 queries, and its recall is measured on
4,096 others. Queries lie beside the points: half of them about as far away as the points are from
each other, half as far as if there were 32 times fewer points. So points in tight groups are
looked for from within the groups and from between them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from threedident.index.cache import Built, Key, Setting, load, store
from threedident.index.families import Family
from threedident.index.neighbors import Exact, Points, Search, rank
from threedident.latents.philox import uniforms
from threedident.runtime.errors import unknown
from threedident.runtime.progress import say

KINDS = ("auto", "exact", "hnsw", "ivf")
DEVICES = ("cpu", "cuda")
RECALL = 0.999  # with less, the next kind is taken

_TARGET = 0.9995  # of the tuning, so that RECALL holds for other queries
_FEW = 10_000  # points that are compared with every query sooner than an index is built
_FLAT = 5  # columns up to which a graph is faster than codes
_MANY = 50_000  # points that take long enough to build over to say so
NEIGHBORS = 2  # what positive pairs ask for
_TUNING, _HELD_OUT = 8192, 4096  # queries
_STREAM = 100
_SAMPLE = 512
_FEWER = 32
Step = TypeVar("Step")  # of a ladder


def kinds_to_try(kind: str, device: str, gpus: int, shape: tuple[int, ...]) -> tuple[str, ...]:
    """The kinds to take, each where those before it find too little.

    Arguments:
        kind: as :class:`threedident.index.nearest.NearestLatents` takes it.
        device: the same.
        gpus: how many there are for faiss.
        shape: number of points and columns.

    Raises:
        ValueError: there is no such kind or device, or not here.
    """
    for name, value, known in (("kind", kind, KINDS), ("device", device, DEVICES)):
        if value not in known:
            raise ValueError(unknown(name, value, known))
    if device == "cuda" and not gpus:
        raise ValueError("device: expected cpu here, found cuda, but faiss sees no GPU; take cpu")
    if device == "cuda" and kind == "hnsw":
        raise ValueError(
            "kind: expected exact or ivf on a GPU, found hnsw, which faiss has for CPUs alone"
        )
    if kind != "auto":
        return (kind,)
    rows, columns = shape
    if device == "cuda" or rows <= _FEW:
        return ("exact",)
    return ("hnsw", "ivf") if columns <= _FLAT else ("ivf",)


def open_kept(
    families: Sequence[type[Family]], points: Points, exact: Exact, version: str
) -> tuple[Family, float]:
    """An index from the cache, or built and put there.

    Arguments:
        families: kinds of index, each to be taken where those before it find too little.
        points: what to search, shape (N, d).
        exact: as :func:`threedident.index.tuning.trials` takes it.
        version: of the library that builds it.

    Returns:
        The index, and its recall on queries that it was not tuned by.

    Raises:
        ValueError: what the cache holds is damaged.
    """
    for family in families:
        built = _kept_or_built(family, points, exact, version)
        if built.recall >= RECALL:
            break
    index = family(built.content)
    index.setting = built.setting
    return index, built.recall


def _kept_or_built(family: type[Family], points: Points, exact: Exact, version: str) -> Built:
    source = Key.of(points, family.name, version)
    built = load(source)
    if built is None:
        built = _build(family, points, exact)
        store(source, built)
    return built


def _build(family: type[Family], points: Points, exact: Exact) -> Built:
    if len(points) >= _MANY:
        say(f"index: building {family.name} over {len(points):,} latents, once")
    content = family.build(points).tobytes()
    index, (tuning, held_out) = family(content), trials(points, exact)

    def recall(setting: Setting) -> float:
        index.setting = setting
        return tuning.recall(index.candidates)

    index.setting = cheapest(index.ladders(tuning.queries), recall, _TARGET)
    return Built(content, index.setting, held_out.recall(index.candidates))


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
    ladders: Sequence[Sequence[Step]], recall: Callable[[Step], float], target: float
) -> Step:
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
