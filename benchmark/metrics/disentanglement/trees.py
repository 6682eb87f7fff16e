"""Gradient-boosted regression trees on binned codes, and the gain of every code.

Each code is cut into at most 64 bins of equal counts. A tree of depth four splits every node at
the bin edge with the largest gain, the reduction of the sum of squared errors. Each tree is fitted
to the residuals of the trees before, and added with the factor 0.2. Held-out rows choose the
number of trees. The importance of a code is the sum of the gains of its splits.

References:
    Greedy Function Approximation: A Gradient Boosting Machine, Friedman, 2001,
    https://doi.org/10.1214/aos/1013203451
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.readouts.targets import Array

_BINS = 64
_DEPTH = 4
_TREES = 80
_RATE = 0.2
_LEAST_ROWS = 10  # of a leaf

Bins = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Boosted:
    """What boosting found for one target.

    Arguments:
        prediction: of the new rows, shape (M,).
        gains: total gain of each code, >= 0, shape (m,).
        trees: number of trees that the held-out rows chose.
    """

    prediction: Array
    gains: Array
    trees: int


def binned(reference: Array, rows: Array) -> Bins:
    """Numbers of the bins of rows, shape (M, m), with edges at quantiles of the reference."""
    edges = np.quantile(reference, np.arange(1, _BINS) / _BINS, axis=0)
    columns = [
        np.searchsorted(edge, row, "left") for edge, row in zip(edges.T, rows.T, strict=True)
    ]
    return np.stack(columns, axis=1)


def boost(bins: Bins, target: Array, held: Bins, held_target: Array, new: Bins) -> Boosted:
    """Boosted trees for one target.

    Arguments:
        bins: fitted rows, shape (N, m).
        target: shape (N,).
        held: held-out rows, which choose the number of trees, shape (K, m).
        held_target: shape (K,).
        new: rows to predict, shape (M, m).
    """
    m, others = bins.shape[1], np.concatenate([held, new])
    guess, far = np.full(len(bins), target.mean()), np.full(len(others), target.mean())
    gains, found = np.zeros(m), Boosted(prediction=far[len(held) :], gains=np.zeros(m), trees=0)
    best = ((held_target - far[: len(held)]) ** 2).sum()
    for count in range(1, _TREES + 1):
        steps, far_steps, gained = _tree(bins, target - guess, others)
        guess, far, gains = guess + _RATE * steps, far + _RATE * far_steps, gains + gained
        error = ((held_target - far[: len(held)]) ** 2).sum()
        if error < best:
            best = error
            found = Boosted(prediction=far[len(held) :], gains=gains, trees=count)
    return found


def _tree(bins: Bins, residual: Array, others: Bins) -> tuple[Array, Array, Array]:
    """Values of one tree at the fitted rows and at other rows, and the gain of each code."""
    m, gains = bins.shape[1], np.zeros(bins.shape[1])
    node, far = np.zeros(len(bins), dtype=np.int64), np.zeros(len(others), dtype=np.int64)
    for depth in range(_DEPTH):
        nodes = 2**depth
        cells = ((node[:, None] * m + np.arange(m)) * _BINS + bins).ravel()
        shape, size = (nodes, m, _BINS), nodes * m * _BINS
        sums = np.bincount(cells, np.repeat(residual, m), size).reshape(shape).cumsum(axis=2)
        rows = np.bincount(cells, minlength=size).reshape(shape).cumsum(axis=2)
        gain = _gain(sums, rows)
        flat = gain.reshape(nodes, -1).argmax(axis=1)
        code, edge = np.divmod(flat, _BINS)
        gained = gain.reshape(nodes, -1)[np.arange(nodes), flat]
        np.add.at(gains, code, np.maximum(gained, 0.0))
        edge = np.where(gained > 0, edge, _BINS)  # a node that gains nothing stays whole
        node, far = (
            2 * at + (place[np.arange(len(place)), code[at]] > edge[at])
            for at, place in ((node, bins), (far, others))
        )
    totals = np.bincount(node, residual, 2**_DEPTH)
    leaves = totals / np.maximum(np.bincount(node, minlength=2**_DEPTH), 1)
    return leaves[node], leaves[far], gains


def _gain(sums: Array, rows: NDArray[np.int64]) -> Array:
    """The gain of a split after each bin; -1 where a side would have too few rows."""
    total, count = sums[..., -1:], rows[..., -1:]
    left, right = np.maximum(rows, 1), np.maximum(count - rows, 1)
    gain = sums**2 / left + (total - sums) ** 2 / right - total**2 / np.maximum(count, 1)
    allowed = (rows >= _LEAST_ROWS) & (count - rows >= _LEAST_ROWS)
    return np.where(allowed, gain, -1.0)
