"""Splines of one direction of the codes for each factor, found by canonical correlation.

If codes are an invertible linear map of bent factors, f_j(z_j) is a linear combination of codes.
Canonical correlation finds it without knowing f_j: it maximises the correlation of a cubic spline
of the factor with a direction of the codes. The factor is then predicted by a cubic spline of the
rank of the code along this direction, fitted by least squares. Ranks make the spline exact for
every monotone f_j, however steep. For a circular factor, a trigonometric polynomial takes the
place of the spline of the factor, there are two directions, and their splines are added.

References:
    Relations Between Two Sets of Variates, Hotelling, 1936, https://doi.org/10.2307/2333955
    Estimating Optimal Transformations for Multiple Regression and Correlation, Breiman and
    Friedman, 1985, https://doi.org/10.1080/01621459.1985.10478157
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline
from scipy.linalg import lstsq

from benchmark.metrics.readouts.targets import Array, Targets

_DEGREE = 3
_ROWS_PER_KNOT = 40
_MOST_KNOTS = 100
_LEAST_KNOTS = 3
_FINER = 2  # a spline of the factor has more knots, since it must follow steep bends


def spline_part(wanted: Targets, residuals: Array, points: Array, new_points: Array) -> Array:
    """Predictions of residuals at new points, shape (M, k).

    Arguments:
        wanted: targets of N fitted rows, which choose the directions.
        residuals: what is predicted, shape (N, k).
        points: whitened codes of the fitted rows, shape (N, c).
        new_points: whitened codes of the new rows, shape (M, c).
    """
    knots = int(np.clip(len(points) // _ROWS_PER_KNOT, _LEAST_KNOTS, _MOST_KNOTS))
    found = np.zeros((len(new_points), residuals.shape[1]))
    for factor in np.unique(wanted.factor):
        mine = wanted.factor == factor
        directions = _directions(wanted.columns[:, mine], points, knots)
        scores, new_scores = points @ directions, new_points @ directions
        bases = [
            (_cubic(ranks(s, s), knots), _cubic(ranks(s, new), knots))
            for s, new in zip(scores.T, new_scores.T, strict=True)
        ]
        fitted, new = (np.hstack(parts) for parts in zip(*bases, strict=True))
        found[:, mine] = new @ lstsq(fitted, residuals[:, mine])[0]
    return found


def ranks(reference: Array, values: Array) -> Array:
    """The share of the reference below each value, ties counted half, in [0, 1]."""
    ordered = np.sort(reference)
    below, upto = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return np.asarray((below + upto) / (2.0 * len(ordered)))


def _directions(columns: Array, points: Array, knots: int) -> Array:
    """The directions of the points that correlate most with a factor, shape (c, columns)."""
    if columns.shape[1] == 1:
        basis = _cubic(ranks(columns[:, 0], columns[:, 0]), _FINER * knots)
    else:
        angle = np.arctan2(columns[:, 1], columns[:, 0])[:, None] * np.arange(1, knots // 2 + 2)
        basis = np.hstack([np.cos(angle), np.sin(angle)])
    left, spreads, _ = np.linalg.svd(basis - basis.mean(axis=0), full_matrices=False)
    axes = left[:, spreads > 1e-9 * spreads[0]]
    centred = points - points.mean(axis=0)
    inside, strengths, right = np.linalg.svd(centred, full_matrices=False)
    kept = strengths > 1e-9 * max(strengths[0], 1e-9)
    _, _, rotation = np.linalg.svd(axes.T @ inside[:, kept], full_matrices=False)
    return np.asarray((right[kept].T / strengths[kept]) @ rotation[: columns.shape[1]].T)


def _cubic(values: Array, knots: int) -> Array:
    """The B-splines of values in [0, 1], shape (N, knots + 3)."""
    inner = np.linspace(0.0, 1.0, knots + 1)
    places = np.concatenate([np.zeros(_DEGREE), inner, np.ones(_DEGREE)])
    return np.asarray(BSpline.design_matrix(values, places, _DEGREE).toarray())
