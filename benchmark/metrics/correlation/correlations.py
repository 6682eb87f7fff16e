"""Correlations of every factor with every code, and the assignment of codes to factors.

Pearson correlation measures linear dependence, Spearman correlation monotone dependence: it is
Pearson correlation of the ranks, and ties get their mean rank. For a circular factor, both are
the circular-linear correlation of the code, or of its rank. This is the multiple correlation of
the code with cosine and sine of the angle. It has no sign.

References:
    Statistics of Directional Data, on angular-linear correlation, Mardia, 1975,
    https://doi.org/10.1111/j.2517-6161.1975.tb01550.x
    Linear-Circular Correlation Coefficients and Rhythmometry, Mardia, 1976,
    https://doi.org/10.1093/biomet/63.2.403
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from benchmark.metrics.readouts.linear import ROUNDING
from benchmark.metrics.readouts.targets import Array, Circular
from benchmark.metrics.rows import scaled
from threedident.runtime.arrays import as_float64


def pearson(latents: ArrayLike, representations: ArrayLike, *, circular: Circular = None) -> Array:
    """Pearson correlation of every factor with every code, shape (factors, codes).

    Entries of a constant code are 0. Rows of a circular factor are in [0, 1].

    Arguments:
        latents: factors, shape (N, n); a circular one in rad.
        representations: codes, shape (N, m).
        circular: True for each circular factor; None if there is none.
    """
    z, codes = as_float64(latents), standardised(representations)
    found = standardised(z).T @ codes
    for i in np.flatnonzero(np.zeros(0) if circular is None else circular):
        found[i] = np.linalg.norm(_circle(z[:, i]).T @ codes, axis=0)
    return np.clip(found, -1.0, 1.0)


def spearman(
    latents: ArrayLike, representations: ArrayLike, *, circular: Circular = None
) -> Array:
    """Spearman correlation of every factor with every code, shape (factors, codes).

    Ties get their mean rank. Entries of a constant code are 0. Arguments as for :func:`pearson`.
    """
    z = as_float64(latents)
    kinds = np.zeros(z.shape[1], dtype=bool) if circular is None else np.asarray(circular)
    ranks = np.where(kinds, z, rankdata(z, axis=0))
    return pearson(ranks, rankdata(as_float64(representations), axis=0), circular=circular)


def assign_codes(correlation: Array) -> tuple[NDArray[np.int64], Array]:
    """The optimal one-to-one assignment of codes to factors, and its absolute correlations."""
    factors, codes = linear_sum_assignment(np.abs(correlation), maximize=True)
    return codes, np.abs(correlation[factors, codes])


def standardised(values: ArrayLike) -> Array:
    """Columns with mean 0 and norm 1; constant columns become 0."""
    rows = scaled(as_float64(values))
    centred = rows - rows.mean(axis=0)
    norms = np.linalg.norm(centred, axis=0)
    constant = norms <= ROUNDING * np.sqrt(len(centred))
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, norms))


def _circle(angle: Array) -> Array:
    """An orthonormal basis of centred cosine and sine, shape (N, 2), or (N, 1) if they agree."""
    columns = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    basis, spreads, _ = np.linalg.svd(columns - columns.mean(axis=0), full_matrices=False)
    return np.asarray(basis[:, spreads > ROUNDING * np.sqrt(len(angle))])
