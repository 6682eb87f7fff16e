"""Nearest rendered latents: exact Euclidean search with faiss. The only faiss import."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import get_worker_info

from threedident.arrays import as_float64

_SPARE = 4


class Neighbors(NamedTuple):
    """The k nearest points of every query, nearest first.

    Arguments:
        distances: Euclidean, shape (Q, k), float64.
        indices: rows of the indexed latents, shape (Q, k), int64.
    """

    distances: NDArray[np.float64]
    indices: NDArray[np.int64]


class NearestLatents:
    """An exact index over latents.

    Arguments:
        latents: points, shape (N, d), finite.

    Raises:
        ValueError: the latents are not a finite N x d array with N >= 1.
    """

    def __init__(self, latents: ArrayLike) -> None:
        self._points = _points(latents, "latents")
        if len(self._points) == 0:
            raise ValueError("latents: expected at least one row to index, found none")
        self._points.setflags(write=False)
        self._faiss: Any = None

    def __len__(self) -> int:
        return len(self._points)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_faiss": None}

    def search(self, queries: ArrayLike, k: int = 1) -> Neighbors:
        """The ``k`` nearest latents of every query.

        faiss ranks in float32 with cancellation in its squared distances, so a few more
        candidates than asked for are fetched and ranked again in float64.

        Arguments:
            queries: points, shape (Q, d), finite.
            k: neighbours per query, at most the number of latents.

        Raises:
            ValueError: the queries have another dimension or are not finite, or k is too large.
        """
        points, wanted = self._points, _points(queries, "queries")
        if wanted.shape[1] != points.shape[1]:
            raise ValueError(
                f"queries: expected {points.shape[1]} columns as the latents have, found "
                f"{wanted.shape[1]}; pass rows of the same space"
            )
        k = operator.index(k)
        if not 1 <= k <= len(points):
            raise ValueError(f"k: expected 1 to {len(points)} neighbours, found {k}; lower k")
        if len(wanted) == 0:
            return Neighbors(np.empty((0, k)), np.empty((0, k), dtype=np.int64))
        _, found = self._index().search(wanted, min(k + _SPARE, len(points)))
        if (found < 0).any():
            raise ValueError(
                "queries: expected points near the latents, found one too far to square"
            )
        steps = points[found].astype(np.float64) - wanted[:, None]
        distances = np.linalg.norm(steps, axis=2)
        order = np.lexsort((found, distances), axis=1)[:, :k]
        return Neighbors(
            np.take_along_axis(distances, order, axis=1),
            np.take_along_axis(found.astype(np.int64), order, axis=1),
        )

    def _index(self) -> Any:
        if get_worker_info() is not None:
            faiss.omp_set_num_threads(1)  # threads started before a fork do not survive it
        if self._faiss is None:
            self._faiss = faiss.IndexFlatL2(self._points.shape[1])
            self._faiss.add(self._points)
        return self._faiss


def _points(values: ArrayLike, name: str) -> NDArray[np.float32]:
    points = np.array(as_float64(values), dtype=np.float32, order="C")
    if points.ndim != 2:
        raise ValueError(f"{name}: expected shape (rows, d), found {points.shape}; pass rows")
    if not np.isfinite(points).all():
        row = int(np.argwhere(~np.isfinite(points))[0, 0])
        raise ValueError(f"{name}: expected finite numbers, found NaN or infinity in row {row}")
    return points
