"""Nearest rendered latents by Euclidean distance. The only faiss import.

- ``exact`` compares a query with every point.
- ``hnsw`` walks a graph of near neighbours. Points enter it along a k-d tree, so that neighbours
  in space are so in memory, and one by one, so that the same points make the same graph.
- ``ivf`` compares a query with the points in the nearest of many cells.

The approximate kinds are built once, searched as widely as it takes to find 999 of 1,000
neighbours, and kept, see :mod:`threedident.index_cache`.

References:
    Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small
    World graphs, Malkov, Yashunin, 2016, https://arxiv.org/abs/1603.09320
    The Faiss library, Douze et al., 2024, https://arxiv.org/abs/2401.08281
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import faiss
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import get_worker_info

from threedident.index_cache import cache_path, load, store
from threedident.neighbors import Neighbors, Points, finite_rows, kd_order, rank
from threedident.progress import say
from threedident.projection import Projection
from threedident.storage import sha256

KINDS = ("auto", "exact", "hnsw", "ivf")
DEVICES = ("cpu", "cuda")
_SPARE = 4
_FEW = 10_000  # points that are compared with every query sooner than a graph is built
_LINKS, _BUILD_EFFORT, _LEAF = 16, 80, 16
_MANY = 50_000  # points that take long enough to build over to say so
_TUNING, _HELD_OUT, _NEIGHBOURS = 8192, 4096, 2
_USUAL = _NEIGHBOURS + _SPARE
_RECALL, _LEAST_RECALL = 0.9995, 0.999  # wanted of the queries that tune, and of all others
_EFFORTS = (16, 20, 24, 28, 32, 36, 40, 48, 64, 96, 128, 192, 256, 512, 1024)


class NearestLatents:
    """An index over latents.

    Arguments:
        latents: points, shape (N, d), finite.
        kind: ``exact``, ``hnsw``, ``ivf``, or ``auto`` for the one of them that answers soonest:
            on a GPU and for few points ``exact``, else ``hnsw``.
        device: ``cpu`` or ``cuda``.
        factors: names of the factors whose distance counts, such as ``["x", "y", "z"]``; by
            default all columns. Queries are rows of the same space, or of those columns alone.

    Attributes:
        kind: the kind that was taken.
        recall: share of the two nearest points that a search finds, measured at the build on
            queries beside the points; 1 for ``exact``.

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
        rows = finite_rows(latents, "latents")
        if len(rows) == 0:
            raise ValueError("latents: expected at least one row to index, found none")
        self._projection = Projection(rows.shape[1], factors)
        self._points = self._projection.points(rows, "latents")
        self._points.setflags(write=False)
        self.device = device
        self.kind = _resolve(kind, device, len(rows))
        self._faiss: Any = None
        self.recall = 1.0
        self._index()

    @property
    def factors(self) -> tuple[str, ...] | None:
        """The factors whose distance counts; None for all columns."""
        return self._projection.factors

    @property
    def dimension(self) -> int:
        """Columns of a row of latents."""
        return self._projection.columns

    def __len__(self) -> int:
        return len(self._points)

    def is_over(self, latents: ArrayLike) -> bool:
        """Whether these latents, shape (N, d), are those that were indexed."""
        rows = finite_rows(latents, "latents")
        return np.array_equal(self._projection.points(rows, "latents"), self._points)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_faiss": None}

    def search(self, queries: ArrayLike, k: int = 1) -> Neighbors:
        """The ``k`` nearest latents of every query.

        faiss ranks in float32 with cancellation in its squared distances, so a few more
        candidates than asked for are fetched and ranked again in float64.

        Arguments:
            queries: points, shape (Q, d), finite.
            k: neighbours per query, at most the number of latents.

        Returns:
            Arrays, or tensors on the queries' device where those are a tensor.

        Raises:
            ValueError: the queries have another dimension or are not finite, or k is too large.
        """
        wanted = self._projection.points(finite_rows(queries, "queries"), "queries")
        k = operator.index(k)
        if not 1 <= k <= len(self):
            raise ValueError(f"k: expected 1 to {len(self)} neighbours, found {k}; lower k")
        neighbors = self._nearest(wanted, k)
        if not isinstance(queries, torch.Tensor):
            return neighbors
        return Neighbors(*(torch.from_numpy(field).to(queries.device) for field in neighbors))

    def _nearest(self, wanted: Points, k: int) -> Neighbors:
        if len(wanted) == 0:
            return Neighbors(np.empty((0, k)), np.empty((0, k), np.int64))
        found = self._candidates(wanted, min(k + _SPARE, len(self)))
        return rank(self._points, wanted, found, k)

    def _candidates(self, wanted: Points, k: int) -> NDArray[np.int64]:
        """Rows that may be the nearest, shape (Q, k)."""
        found = self._index().search(wanted, k, params=self._reach(k))[1]
        lost = (found < 0).any(axis=1)  # a graph or a cell may hold fewer points than asked for
        if lost.any() and self.kind != "exact":
            found[lost] = faiss.knn(wanted[lost], self._points, k)[1]
        if (found < 0).any():
            raise ValueError(
                "queries: expected points near the latents, found one too far to square"
            )
        return np.asarray(found)

    def _index(self) -> Any:
        if get_worker_info() is not None:
            faiss.omp_set_num_threads(1)  # threads started before a fork do not survive it
        if self._faiss is None:
            self._faiss = self._open()
        return self._faiss

    def _open(self) -> Any:
        """The index: made here if exact, from the cache where it was built before, or built."""
        if self.kind == "exact":
            flat = faiss.IndexFlatL2(self._points.shape[1])
            flat.add(self._points)
            return _on(self.device, flat)
        digest = sha256(np.array(self._points.shape).tobytes() + self._points.tobytes())
        path = cache_path(faiss.__version__, self.kind, digest)
        cached = load(path, faiss.__version__, self.kind, digest)
        if cached is not None:
            header, content = cached
            self._effort, self.recall = header.effort, header.recall
            built = faiss.deserialize_index(np.frombuffer(content, np.uint8))
        else:
            built = self._build()
            if built is None:
                say(f"index: {self.kind} misses neighbours among these latents; searching exactly")
                self.kind = "exact"
                return self._open()
            content = faiss.serialize_index(built).tobytes()
            known = {"faiss": faiss.__version__, "kind": self.kind, "points": digest}
            store(path, content, effort=self._effort, recall=self.recall, **known)
        return _on(self.device, built)

    def _build(self) -> Any:
        """The index, searched as widely as it takes, or None where nothing is wide enough."""
        if len(self) >= _MANY:
            say(f"index: building {self.kind} over {len(self)} latents, for this and later times")
        self._faiss = _hnsw(self._points) if self.kind == "hnsw" else _ivf(self._points)
        tuning, held_out = (self._recall_of(*asked) for asked in ((_TUNING, 0), (_HELD_OUT, 1)))
        for self._effort in _EFFORTS:
            if tuning() >= _RECALL and (recall := held_out()) >= _LEAST_RECALL:
                self.recall = recall
                return self._faiss
        return None

    def _recall_of(self, count: int, seed: int) -> Callable[[], float]:
        """Measures the share of the nearest points that are found, ties counting as found."""
        queries, k = _beside(self._points, count, seed), min(_NEIGHBOURS, len(self))
        near = faiss.knn(queries, self._points, min(k + _SPARE, len(self)))[1]
        reach = rank(self._points, queries, near, k).distances * (1.0 + 1e-12)
        return lambda: float((self._nearest(queries, k).distances <= reach).mean())

    def _reach(self, k: int) -> Any:
        if self.kind == "hnsw":
            return faiss.SearchParametersHNSW(efSearch=self._effort * max(k, _USUAL) // _USUAL)
        return faiss.SearchParametersIVF(nprobe=self._effort) if self.kind == "ivf" else None


def _resolve(kind: str, device: str, n: int) -> str:
    """The kind to take."""
    for name, value, known in (("kind", kind, KINDS), ("device", device, DEVICES)):
        if value not in known:
            raise ValueError(f"{name}: expected one of {', '.join(known)}, found {value!r}")
    if device == "cuda" and not getattr(faiss, "get_num_gpus", int)():
        raise ValueError("device: expected cpu here, found cuda, but faiss sees no GPU; take cpu")
    if device == "cuda" and kind == "hnsw":
        raise ValueError(
            "kind: expected exact or ivf on a GPU, found hnsw, which faiss has for CPUs alone"
        )
    if kind == "auto":
        return "exact" if device == "cuda" or n <= _FEW else "hnsw"
    return kind


def _beside(points: Points, count: int, seed: int) -> Points:
    """Queries that are no points: each column is taken from the points by itself."""
    rng = np.random.default_rng(seed)
    columns = [rng.choice(column, count) for column in points.T]
    return np.ascontiguousarray(np.stack(columns, axis=1))


def _hnsw(points: Points) -> Any:
    graph = faiss.IndexHNSWFlat(points.shape[1], _LINKS)
    graph.hnsw.efConstruction = _BUILD_EFFORT
    index, order = faiss.IndexIDMap(graph), kd_order(points, _LEAF)
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)  # threads would race, and make another graph each time
    index.add_with_ids(points[order], order)
    faiss.omp_set_num_threads(threads)
    return index


def _ivf(points: Points) -> Any:
    cells = max(1, int(np.sqrt(len(points))))
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(points.shape[1]), points.shape[1], cells)
    index.cp.min_points_per_centroid = 1
    index.train(points)
    index.add(points)
    return index


def _on(device: str, index: Any) -> Any:
    if device == "cpu":
        return index
    resources = faiss.StandardGpuResources()
    there = faiss.index_cpu_to_gpu(resources, 0, index)
    there.referenced_objects = [resources]
    return there
