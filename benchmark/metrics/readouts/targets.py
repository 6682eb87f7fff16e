"""Targets of readouts: a column for each factor, and cosine and sine for each circular factor.

An angle has no ends: -pi and pi are one value, so its error is not the difference of numbers. A
readout predicts cosine and sine instead, and the two count together: R^2 of a circular factor is
1 - SSE / SST, with the sums of squares of both columns added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Circular = Sequence[bool] | None


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The columns that a readout predicts, and the factor of each.

    Arguments:
        columns: shape (N, k), with k = n + the number of circular factors.
        factor: number of the factor of each column, ascending, shape (k,).
    """

    columns: Array
    factor: NDArray[np.int64]

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Targets:
        return Targets(columns=self.columns[rows], factor=self.factor)

    def pooled(self, values: Array) -> Array:
        """Sums over the columns of each factor, shape (..., n), of values of shape (..., k)."""
        starts = np.flatnonzero(np.diff(self.factor, prepend=-1))
        return np.asarray(np.add.reduceat(values, starts, axis=-1))

    def r_squared(self, prediction: Array) -> Array:
        """R^2 of each factor, shape (n,), for a prediction of the columns, shape (N, k)."""
        spread = ((self.columns - self.columns.mean(axis=0)) ** 2).sum(axis=0)
        errors = ((self.columns - prediction) ** 2).sum(axis=0)
        return np.asarray(1.0 - self.pooled(errors) / self.pooled(spread))


def targets(latents: Array, circular: Circular) -> Targets:
    """The targets of latents, shape (N, n).

    Arguments:
        latents: factors; a circular one in rad.
        circular: True for each circular factor, n entries; None if there is none.
    """
    n = latents.shape[1]
    if circular is None or not any(circular):
        return Targets(columns=latents, factor=np.arange(n))
    columns = [
        np.stack([np.cos(z), np.sin(z)], axis=1) if angle else z[:, None]
        for z, angle in zip(latents.T, circular, strict=True)
    ]
    factor = np.repeat(np.arange(n), [part.shape[1] for part in columns])
    return Targets(columns=np.hstack(columns), factor=factor)


def angles(prediction: Array, circular: Circular) -> Array:
    """Factors, shape (N, n), of predicted columns, shape (N, k); angles in (-pi, pi]."""
    if circular is None or not any(circular):
        return prediction
    found, column = [], 0
    for angle in circular:
        if angle:
            found.append(np.arctan2(prediction[:, column + 1], prediction[:, column]))
        else:
            found.append(prediction[:, column])
        column += 2 if angle else 1
    return np.stack(found, axis=1)
