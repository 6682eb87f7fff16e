"""Points and their neighbours: the input and output of an index of any kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from threedident.runtime.arrays import as_float64

Points = NDArray[np.float32]
Rows = NDArray[np.int64]
Search = Callable[[Points, int], Rows]
Exact = Callable[[Points], Search]


class Neighbors(NamedTuple):
    """The k nearest points of every query, nearest first.

    Arguments:
        distances: Euclidean distances, shape (Q, k), float64.
        indices: rows of the indexed latents, shape (Q, k), int64.
    """

    distances: Any
    indices: Any


def finite_rows(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """Rows of shape (N, d) as float64.

    Raises:
        ValueError: the values are not finite rows. The message calls them ``name``.
    """
    rows = as_float64(values)
    if rows.ndim != 2:
        raise ValueError(f"{name}: expected shape (rows, d), found {rows.shape}; pass rows")
    if not np.isfinite(rows).all():
        row = int(np.argwhere(~np.isfinite(rows))[0, 0])
        raise ValueError(
            f"{name}: expected finite numbers, found NaN or infinity in row {row}; remove it"
        )
    return rows


def rank(points: Points, queries: Points, candidates: Rows, k: int) -> Neighbors:
    """The k nearest among given candidates, computed in float64. Ties go to the lower row.

    Arguments:
        points: shape (N, d).
        queries: shape (Q, d).
        candidates: distinct row numbers of ``points`` for each query, shape (Q, c). -1 marks an
            empty place; at least k places are not empty.
        k: number of neighbours per query.
    """
    rows = np.sort(candidates, axis=1)
    steps = points.take(rows, axis=0).astype(np.float64)
    steps -= queries[:, None].astype(np.float64)
    squares = np.einsum("qcd,qcd->qc", steps, steps)
    if len(rows) and rows[:, 0].min() < 0:
        squares[rows < 0] = np.inf
    first = np.argsort(squares, axis=1)[:, : k + 1]
    nearest = np.take_along_axis(squares, first, axis=1)
    if (nearest[:, 1:] == nearest[:, :-1]).any():  # the stable sort takes three times as long
        first = np.argsort(squares, axis=1, kind="stable")
    return Neighbors(np.sqrt(nearest[:, :k]), np.take_along_axis(rows, first[:, :k], axis=1))


def kd_order(points: Points, leaf: int) -> Rows:
    """Row numbers in the order of a k-d tree's leaves, so that near points are near in memory.

    Arguments:
        points: shape (N, d).
        leaf: maximum number of points in a leaf.
    """
    leaves = [np.arange(len(points))]
    while len(leaves[0]) > leaf:
        leaves = [half for rows in leaves for half in _halves(points, rows)]
    return np.concatenate(leaves)


def _halves(points: Points, rows: Rows) -> list[Rows]:
    """The rows split into two halves at the median of their widest column."""
    inside = points[rows]
    column = int(np.argmax(np.ptp(inside, axis=0)))
    middle = (len(rows) + 1) // 2  # the first half is never the smaller one
    order = np.argpartition(inside[:, column], middle - 1)
    return [rows[order[:middle]], rows[order[middle:]]]
