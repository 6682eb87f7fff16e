"""Choice, tuning and recall of an index.

An approximate index is tuned to a recall of 0.9995 on 8,192 queries, and its recall is measured
on 4,096 other queries. Queries lie near the points. For half of them the distance is about that
between neighbouring points. For the other half it is about that between neighbours if only every
32nd point is kept. If points form tight clusters, queries thus lie within and between clusters.
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
RECALL = 0.999  # if a kind reaches less, the next kind is tried

_TARGET = 0.9995  # recall to tune for, with a margin so that other queries reach RECALL
_FEW = 10_000  # up to this many points, exact search is faster than building an index
_FLAT = 5  # up to this many columns, a graph is faster than codes
_MANY = 50_000  # from this many points on, building takes long enough for a message
NEIGHBORS = 2  # neighbours that positive pairs need
_TUNING, _HELD_OUT = 8192, 4096  # queries
_STREAM = 100
_SAMPLE = 512
_FEWER = 32
Step = TypeVar("Step")  # a setting


def kinds_to_try(kind: str, device: str, gpus: int, shape: tuple[int, ...]) -> tuple[str, ...]:
    """The kinds to try in order, until one reaches the recall :data:`RECALL`.

    Arguments:
        kind: see :class:`threedident.index.nearest.NearestLatents`.
        device: see :class:`threedident.index.nearest.NearestLatents`.
        gpus: number of GPUs that faiss sees.
        shape: number of points and of columns.

    Raises:
        ValueError: the kind or the device does not exist, or is not available here.
    """
    for name, value, known in (("kind", kind, KINDS), ("device", device, DEVICES)):
        if value not in known:
            raise ValueError(unknown(name, value, known))
    if device == "cuda" and not gpus:
        raise ValueError("device: expected cpu here, found cuda, but faiss sees no GPU; take cpu")
    if device == "cuda" and kind == "hnsw":
        raise ValueError(
            "kind: expected exact or ivf on a GPU, found hnsw, which faiss offers only on CPUs"
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
    """An index from the cache, or a new one, which is then put into the cache.

    Arguments:
        families: kinds of index, tried in order until one reaches the recall :data:`RECALL`.
        points: points to search, shape (N, d).
        exact: see :func:`threedident.index.tuning.trials`.
        version: version of the library that builds the index.

    Returns:
        The index, and its recall on queries that were not used for tuning.

    Raises:
        ValueError: the file in the cache is damaged.
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
    """Queries with known nearest points.

    Arguments:
        points: points to search, shape (N, d).
        queries: shape (Q, d).
        within: distance of each query to the farthest of its ``NEIGHBORS`` nearest points,
            shape (Q, 1).
    """

    points: Points
    queries: Points
    within: NDArray[np.float64]

    def recall(self, search: Search) -> float:
        """Share of the nearest points that a search finds. Equally near points count as found.

        Arguments:
            search: function of queries and a number of neighbours that returns candidates.
        """
        return float((_distances(self.points, self.queries, search) <= self.within).mean())


def trials(points: Points, exact: Exact) -> tuple[Trial, Trial]:
    """Two trials with different queries, one for tuning and one for measuring recall.

    The queries depend only on the points.

    Arguments:
        points: shape (N, d).
        exact: function of points that returns a search whose candidates include the nearest ones.
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
    """The fastest setting that reaches a recall, or the last setting if none does.

    The first ladder is chosen whose last setting has a recall of at least (1 + target) / 2, or
    the last ladder if there is none. A binary search then finds the setting in that ladder.

    Arguments:
        ladders: lists of settings. Settings become slower and more accurate within a ladder, and
            from one ladder to the next.
        recall: function that returns the recall of a setting.
        target: the recall to reach.
    """
    enough = (1.0 + target) / 2.0
    good = (ladder for ladder in ladders[:-1] if recall(ladder[-1]) >= enough)
    ladder = next(good, ladders[-1])
    return ladder[min(bisect_left(ladder, target, key=recall), len(ladder) - 1)]


def _spacing(points: Points, search: Search) -> float:
    """Median distance of a point to the nearest other point."""
    some = points[:: -(-len(points) // _SAMPLE)]
    return float(np.median(_distances(points, some, search)[:, -1]))


def _beside(points: Points, spacings: list[float], count: int) -> Points:
    """Random points plus uniform noise, whose root mean squares are the spacings in turn."""
    n, d = points.shape
    u = uniforms(0, (_STREAM,), np.arange(count), 1 + d)
    rows = points[(u[:, 0] * n).astype(np.int64)]
    reach = np.resize(spacings, (count, 1)) * np.sqrt(3.0 / d)  # noise: deviation 1 / sqrt(3)
    return np.asarray(rows + reach * (2.0 * u[:, 1:] - 1.0), np.float32)


def _distances(points: Points, queries: Points, search: Search) -> NDArray[np.float64]:
    """Distances to the nearest points that a search finds, shape (Q, ``NEIGHBORS``)."""
    k = min(NEIGHBORS, len(points))
    return np.asarray(rank(points, queries, search(queries, k), k).distances)
