"""Nearest rendered latents by Euclidean distance. The only faiss import.

- ``exact`` compares a query with every point.
- ``hnsw`` walks a graph of near neighbours, laid out in memory along a k-d tree.
- ``ivf`` compares a query with the points of some of many cells: those whose centre is nearest,
  or farther than that by no more than a margin in squared distance. It reads codes of 4 bits a
  coordinate, many at once in a register of the processor, and keeps more candidates to make up
  for their coarseness; on a GPU, and where they are too coarse, it reads the points themselves.

An approximate kind is built once and kept, and looks as far as it takes to find 9,995 of 10,000
neighbours. Candidates of all kinds are ranked again in float64: faiss ranks in float32, with
cancellation in its squared distances.

References:
    Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
    World graphs, Malkov, Yashunin, 2016, https://arxiv.org/abs/1603.09320
    Accelerated Nearest Neighbor Search with Quick ADC, Andre, Kermarrec, Le Scouarnec, 2017,
    https://arxiv.org/abs/1704.07355
    The Faiss library, Douze et al., 2024, https://arxiv.org/abs/2401.08281
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import faiss
import numpy as np
from numpy.typing import ArrayLike
from torch.utils.data import get_worker_info

from threedident.index_cache import Setting
from threedident.index_kinds import RECALL, Family, kinds_to_try, open_kept
from threedident.lookup import Lookup
from threedident.neighbors import Points, Rows, kd_order
from threedident.recall import Search

_SPARE, _LINKS, _EFFORT, _LEAF = 4, 16, 64, 16
_EFFORTS = [8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256, 512, 1024, 4096]
_WIDTHS = (20, 24, 32, 48, 64, 128)  # candidates for two neighbours
_ONE_BY_ONE = 11  # how faiss reads codes: query by query, keeping candidates in a reservoir


class NearestLatents(Lookup):
    """An index over latents.

    What is found depends on the latents, the query and the kind alone, not on the other queries
    of a batch, on threads or processes. Which few neighbours an approximate kind misses may
    differ between versions of faiss, and between processors that round sums differently.

    Arguments:
        latents: points, shape (N, d), finite.
        kind: ``exact``, ``hnsw``, ``ivf``, or ``auto``: on a GPU and for few points ``exact``,
            else ``hnsw`` for up to five columns and ``ivf`` for more, and where the graph finds
            fewer than 999 of 1,000 neighbours.
        device: ``cpu`` or ``cuda``.
        factors: names of the factors whose distance counts, such as ``["x", "y", "z"]``; by
            default all columns. Queries are rows of the same space, or of those columns alone.

    Attributes:
        kind: the kind that was taken.
        recall: share of the two nearest points that a search finds, measured at the build on
            held-out queries beside the points, see :mod:`threedident.recall`; 1 for ``exact``.

    Raises:
        ValueError: the latents are not a finite N x d array with N >= 1, there is no such kind,
            device or factor, or the cached index is damaged.
    """

    def __init__(
        self,
        latents: ArrayLike,
        kind: str = "auto",
        device: str = "cpu",
        factors: Sequence[str] | None = None,
    ) -> None:
        super().__init__(latents, factors)
        self._low, self._high = self._points.min(axis=0), self._points.max(axis=0)
        self.device = device
        gpus = getattr(faiss, "get_num_gpus", int)()
        for name in kinds_to_try(kind, device, gpus, self._points.shape):
            self.kind = name
            self._index: Any = self._open()
            if self.recall >= RECALL:
                break

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        factors = "all columns" if self.factors is None else ", ".join(self.factors)
        return {
            "latents": f"{len(self)} rows of {self.dimension} columns",
            "kind": f"{self.kind} on {self.device}",
            "distance over": factors,
            "recall": f"{self.recall:.4f}",
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_index": None}  # a copy opens it for itself

    def _candidates(self, wanted: Points, k: int) -> Rows:
        if get_worker_info() is not None:
            faiss.omp_set_num_threads(1)  # threads started before a fork do not survive it
        if self._index is None:
            self._index = self._open()
        found: Rows = self._index.candidates(wanted, k)
        if self.kind == "exact":
            return found
        outside = (wanted - np.clip(wanted, self._low, self._high)).astype(np.float64)
        astray = np.linalg.norm(outside, axis=1) > (self._high - self._low).max() / 4
        astray |= (found < 0).sum(axis=1) > found.shape[1] - k  # cells may hold fewer than k
        if astray.any():
            nearest = _compare(self._points)(wanted[astray], k)
            found[astray] = -1
            found[astray, : nearest.shape[1]] = nearest
        return found

    def _open(self) -> Any:
        if self.kind == "exact":
            self.recall = 1.0
            return _Exact(self._points, self.device)
        families = _FAMILIES[self.kind, self.device]
        index, self.recall = open_kept(families, self._points, _compare, faiss.__version__)
        return index


class _Exact:
    def __init__(self, points: Points, device: str = "cpu") -> None:
        self._count, self._search = len(points), partial(faiss.knn, xb=points)
        if device == "cuda":
            flat = faiss.IndexFlatL2(points.shape[1])
            flat.add(points)
            self._search = _on_gpu(flat).search

    def candidates(self, queries: Points, k: int) -> Rows:
        found = self._search(queries, k=min(k + _SPARE, self._count))[1]
        if (found < 0).any():
            raise ValueError(
                "queries: expected points near the latents, found one too far to square"
            )
        return np.asarray(found)


def _compare(points: Points) -> Search:
    return _Exact(points).candidates


class _Graph(Family):
    name = "hnsw"

    def __init__(self, content: bytes | memoryview) -> None:
        self._index = _revive(content)

    @staticmethod
    def build(points: Points) -> Any:
        graph = faiss.IndexHNSWFlat(points.shape[1], _LINKS)
        graph.hnsw.efConstruction = _EFFORT
        index, order = faiss.IndexIDMap(graph), kd_order(points, _LEAF)
        _alone(index.add_with_ids, points[order], order)
        return faiss.serialize_index(index)

    def ladders(self, _: Points) -> list[list[Setting]]:
        return [[{"effort": effort} for effort in _EFFORTS]]

    def candidates(self, queries: Points, k: int) -> Rows:
        some = min(k + _SPARE, self._index.ntotal)
        reach = self._reach(int(self.setting["effort"] * max(1.0, k / 2)))
        return np.asarray(self._index.search(queries, some, params=reach)[1])

    def _reach(self, effort: int) -> Any:
        return faiss.SearchParametersHNSW(efSearch=effort)


class _Lists(_Graph):
    name = "ivf-lists"

    @staticmethod
    def build(points: Points) -> Any:
        cells = _cells(points)
        index = faiss.IndexIVFFlat(cells, points.shape[1], cells.ntotal)
        index.train(points)
        index.add(points)
        return faiss.serialize_index(index)

    def _reach(self, effort: int) -> Any:
        return faiss.SearchParametersIVF(nprobe=min(effort, self._index.nlist))


class _GpuLists(_Lists):
    def __init__(self, content: bytes | memoryview) -> None:
        self._index = _on_gpu(_revive(content))


class _Codes(Family):
    name = "ivf"

    def __init__(self, content: bytes | memoryview) -> None:
        self._index = _revive(content)
        self._index.implem = _ONE_BY_ONE
        self._cells = faiss.downcast_index(self._index.quantizer)

    @staticmethod
    def build(points: Points) -> Any:
        d, cells = points.shape[1], _cells(points)
        some = np.resize(points, (max(len(points), 624), d))  # with fewer, faiss warns
        index = faiss.IndexIVFPQFastScan(cells, d, cells.ntotal, d, 4, faiss.METRIC_L2, 96)
        coarse = faiss.IndexPQFastScan(d, d, 4)
        index.by_residual = False  # so that a query has one table for all cells
        for part in (index, coarse):
            _alone(part.train, some)
        index.add(points)
        coarse.add(cells.reconstruct_n())
        index.quantizer = coarse
        return faiss.serialize_index(index)

    def ladders(self, queries: Points) -> list[list[Setting]]:
        cells = self._index.nlist
        squares = self._cells.search(queries, cells)[0]
        gaps = np.median(squares - squares[:, :1], axis=0)[: max(64, cells // 4)].tolist()
        steps = [{"cells": 1 + 3 * n // 2, "margin": gap} for n, gap in enumerate(gaps)]
        return [[{"width": width, **step} for step in steps] for width in _WIDTHS]

    def candidates(self, queries: Points, k: int) -> Rows:
        farther = max(1.0, k / 2)  # than the two neighbours that the setting is for
        cells = min(int(self.setting["cells"] * farther**0.25), self._index.nlist)
        margin = self.setting["margin"] * farther ** (1 / queries.shape[1])
        squares, near = self._cells.search(queries, cells)
        near[squares > squares[:, :1] + margin] = -1
        return self._read(queries, near, squares, int(self.setting["width"] * farther))

    def _read(self, queries: Points, cells: Rows, squares: Points, k: int) -> Rows:
        rows = np.empty((len(queries), k), np.int64)
        arrays = (queries, cells, squares, np.empty(rows.shape, np.float32), rows)
        asked, *others = map(faiss.swig_ptr, arrays)
        probes = faiss.SearchParametersIVF(nprobe=cells.shape[1])
        self._index.search_preassigned_c(len(queries), asked, k, *others, False, probes)
        return rows


_FAMILIES: dict[tuple[str, str], tuple[type[Family], ...]] = {
    ("hnsw", "cpu"): (_Graph,),
    ("ivf", "cpu"): (_Codes, _Lists),
    ("ivf", "cuda"): (_GpuLists,),
}


def _cells(points: Points) -> Any:
    """Centres of about sqrt(N) cells."""
    cells = 2 ** round(np.log2(len(points)) / 2)
    means = faiss.Kmeans(points.shape[1], cells, niter=20, min_points_per_centroid=1)
    _alone(means.train, points)
    return means.index


def _revive(content: bytes | memoryview) -> Any:
    return faiss.deserialize_index(np.frombuffer(content, np.uint8))


def _on_gpu(index: Any) -> Any:
    return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index)


def _alone(work: Callable[..., Any], *arguments: Any) -> None:
    """Does work in one thread; more would race, and make another index each time."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        work(*arguments)
    finally:
        faiss.omp_set_num_threads(threads)
