"""Kernel ridge regression with kernel exp(-|a - b|^2 / (2 width^2)) on whitened codes.

The prediction is k(code)' (K + ridge I)^-1 targets. One of four widths and one of eight ridges is
chosen for each factor: the pair that predicts held-out rows best. Whitened codes are the same up
to a rotation for all invertible affine maps of the codes, so the prediction is the same for them.

References:
    Kernel Methods for Pattern Analysis, Shawe-Taylor and Cristianini, 2004,
    https://doi.org/10.1017/CBO9780511809682
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from benchmark.metrics.readouts.targets import Array, Targets

Kernel = tuple[float, float]

_WIDTHS = (0.5, 1.0, 2.0, 4.0)  # relative to the root of the median squared distance
_RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
KERNEL_ROWS = 1500
_CHUNK = 1000
_LEAST_SPREAD = 1e-6  # relative to the largest; smaller spreads are rounding of float32 codes


def gaussian(distances: Array, width: float) -> Array:
    """The kernel exp(-d / (2 width^2)) for squared distances d."""
    return np.asarray(np.exp(distances / (-2.0 * width**2)))


def squared_distances(a: Array, b: Array) -> Array:
    """|a_i - b_j|^2, shape (len(a), len(b))."""
    distances = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * (a @ b.T)
    return np.asarray(np.maximum(distances, 0.0))


def ridge_weights(kernel: Array, targets: Array, ridge: float) -> Array:
    """The product (K + ridge I)^-1 targets, shape (N, k).

    Arguments:
        kernel: K, symmetric and positive semidefinite, shape (N, N).
        targets: shape (N, k).
        ridge: positive number.
    """
    system = kernel + ridge * np.eye(len(kernel))
    return np.asarray(cho_solve(cho_factor(system, lower=True, overwrite_a=True), targets))


def whitened(reference: Array, rows: Array, most: int | None = None) -> Array:
    """Rows in coordinates in which the reference has mean 0 and identity covariance.

    Directions in which the standardised reference hardly varies are left out.

    Arguments:
        reference: rows that define the coordinates, shape (N, m).
        rows: rows to transform, shape (M, m).
        most: largest number of coordinates to keep, those with the largest variance first; None
            for all.
    """
    centre, spread = reference.mean(axis=0), reference.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    standard = (reference - centre) / scale
    _, spreads, directions = np.linalg.svd(standard, full_matrices=False)
    kept = spreads > _LEAST_SPREAD * max(spreads[0], 1.0)
    axes = directions[kept][:most].T * (np.sqrt(len(reference)) / spreads[kept][:most])
    return np.asarray((rows - centre) / scale @ axes)


def typical_distance(points: Array) -> float:
    """The root of the median squared distance of points; 1 if it is 0."""
    return float(np.sqrt(np.median(squared_distances(points, points)))) or 1.0


def choose_kernels(
    points: Array, residuals: Array, held_points: Array, held: Targets
) -> tuple[list[Kernel], Array]:
    """Width and ridge of each factor, and the predictions of the held-out rows.

    Arguments:
        points: fitted rows, with typical distance 1, shape (N, c).
        residuals: targets of the fitted rows, shape (N, k).
        held_points: held-out rows, shape (M, c).
        held: targets of the held-out rows.
    """
    settings, found = list(product(_WIDTHS, _RIDGES)), []
    distances, onto = squared_distances(points, points), squared_distances(held_points, points)
    for width in _WIDTHS:
        kernel, new = gaussian(distances, width), gaussian(onto, width)
        found += [new @ ridge_weights(kernel, residuals, ridge) for ridge in _RIDGES]
    predictions = np.stack(found)
    errors = held.pooled(((held.columns - predictions) ** 2).sum(axis=1))
    best = errors.argmin(axis=0)
    chosen = np.take_along_axis(predictions, best[held.factor][None, None], axis=0)[0]
    return [settings[i] for i in best], chosen


def kernel_part(
    points: Array, residuals: Array, new_points: Array, settings: Sequence[Kernel | None]
) -> Array:
    """Predictions at new points, shape (new points, k); 0 for columns without a setting."""
    weights = {width: np.zeros_like(residuals) for width, _ in filter(None, settings)}
    if not weights:
        return np.zeros((len(new_points), residuals.shape[1]))
    distances = squared_distances(points, points)
    for width, at_width in weights.items():
        kernel = gaussian(distances, width)
        for setting in {s for s in settings if s is not None and s[0] == width}:
            mine = [s == setting for s in settings]
            at_width[:, mine] = ridge_weights(kernel, residuals[:, mine], setting[1])
    curved = np.zeros((len(new_points), residuals.shape[1]))
    for start in range(0, len(new_points), _CHUNK):
        rows = slice(start, start + _CHUNK)
        distances = squared_distances(new_points[rows], points)
        for width, at_width in weights.items():
            curved[rows] += gaussian(distances, width) @ at_width
    return curved
