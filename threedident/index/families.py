"""Kinds of faiss indexes with one interface. This is the only module that imports faiss.

- :class:`Comparison`: compares a query with every point.
- ``hnsw``: a graph of near neighbours, stored in memory in the order of a k-d tree.
- ``ivf``: points grouped in cells. A search reads the cell whose centre is nearest, and those
  whose squared distance is larger by at most a margin. It compares codes of 4 bits per coordinate
  by SIMD instructions. Codes are coarse, so it keeps more candidates than neighbours. On a GPU,
  or if codes are too coarse, it reads the points themselves.

References:
    Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
    World graphs, Malkov, Yashunin, 2016, https://arxiv.org/abs/1603.09320
    Accelerated Nearest Neighbor Search with Quick ADC, Andre, Kermarrec, Le Scouarnec, 2017,
    https://arxiv.org/abs/1704.07355
    The Faiss library, Douze et al., 2024, https://arxiv.org/abs/2401.08281
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from threedident.index.cache import Setting
from threedident.index.neighbors import Points, Rows, Search, kd_order

try:
    import faiss
except ImportError as _error:  # the rest works without it
    faiss = None
    _FOUND = "neither" if isinstance(_error, ModuleNotFoundError) else str(_error)

VERSION: str = "none" if faiss is None else faiss.__version__
_SPARE, _LINKS, _EFFORT, _LEAF = 4, 16, 64, 16
_EFFORTS = [8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256, 512, 1024, 4096]
_WIDTHS = (20, 24, 32, 48, 64, 128)  # numbers of candidates for two neighbours
_ONE_BY_ONE = 11  # faiss's number for: one query at a time, candidates kept in a reservoir


class Family(ABC):
    """An opened approximate index of one kind.

    Arguments:
        content: bytes of the index, as :meth:`build` returns them.

    Attributes:
        name: name in the cache. It must change whenever :meth:`build` changes.
        setting: search parameters, which trade recall for speed.
    """

    name: ClassVar[str]
    setting: Setting

    @abstractmethod
    def __init__(self, content: bytes | memoryview) -> None: ...

    @staticmethod
    @abstractmethod
    def build(points: Points) -> Any:
        """Bytes of an index over points, shape (N, d), as an array; equal for equal points."""

    @abstractmethod
    def ladders(self, queries: Points) -> Sequence[Sequence[Setting]]:
        """Settings to try on ``queries``, see :func:`threedident.index.tuning.cheapest`."""

    @abstractmethod
    def candidates(self, queries: Points, k: int) -> Rows:
        """Rows that may be the ``k`` nearest, shape (Q, k or more); -1 fills empty places."""


class Comparison:
    """Exact search, which compares a query with every point in float32.

    Arguments:
        points: shape (N, d).
        device: ``cpu`` or ``cuda``.
    """

    def __init__(self, points: Points, device: str = "cpu") -> None:
        self._count, self._search = len(points), partial(faiss.knn, xb=points)
        if device == "cuda":
            flat = faiss.IndexFlatL2(points.shape[1])
            flat.add(points)
            self._search = _on_gpu(flat).search

    def candidates(self, queries: Points, k: int) -> Rows:
        """See :meth:`Family.candidates`."""
        found = self._search(queries, k=min(k + _SPARE, self._count))[1]
        if (found < 0).any():
            raise ValueError(
                "queries: expected points near the latents, found one whose squared distance "
                "overflows float32; check its scale"
            )
        return np.asarray(found)


def compare(points: Points) -> Search:
    """A search that compares queries with all points."""
    return Comparison(points).candidates


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
        index.by_residual = False  # one lookup table per query then serves all cells
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
        farther = max(1.0, k / 2)  # the setting was tuned for two neighbours
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


FAMILIES: dict[tuple[str, str], tuple[type[Family], ...]] = {
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
    """The index on the GPU of this process."""
    import torch  # loaded by all that ask for a GPU

    number = torch.cuda.current_device() if torch.cuda.is_available() else 0
    return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), number, index)


def _alone(work: Callable[..., Any], *arguments: Any) -> None:
    """Run ``work`` in one thread. With more threads the index would differ from run to run."""
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        work(*arguments)
    finally:
        faiss.omp_set_num_threads(threads)


def gpus() -> int:
    """Number of GPUs that faiss sees; 0 if faiss was built without CUDA.

    Raises:
        ValueError: faiss is not installed.
    """
    if faiss is None:
        raise ValueError(
            "faiss: expected faiss-gpu or faiss-cpu, which find nearest latents, found "
            f"{_FOUND}; pip install faiss-cpu"
        )
    return int(getattr(faiss, "get_num_gpus", int)())


def use_one_thread() -> None:
    """Make faiss search with one thread. Threads started before a fork do not survive it."""
    faiss.omp_set_num_threads(1)
