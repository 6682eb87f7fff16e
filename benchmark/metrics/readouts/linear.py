"""Linear readouts of latents from codes: least squares, or ridge if there are few rows per code.

Least squares with intercept minimises |Z - X W - b|^2 over the fitted rows. With as many codes as
rows it fits their noise, and its predictions of other rows are worse than their mean. Ridge
regression minimises, for each factor z and codes X with mean 0 and variance 1,

    |z - X w - b|^2 + strength * |X|^2 |w|^2

where |X|^2 is the sum of all squares. Each factor uses, of 57 strengths, the one with the
smallest leave-one-out error over the fitted rows. With X = U S V' and the hat matrix
H = 1/N + U diag(s^2 / (s^2 + strength |X|^2)) U', these errors are (z - H z)_i / (1 - H_ii).
Strengths for which the degrees of freedom of the fit, tr H, exceed three quarters of the rows are
not used. Such a fit is close to interpolation, and its error can be small by chance.

References:
    Ridge Regression: Biased Estimation for Nonorthogonal Problems, Hoerl and Kennard, 1970,
    https://doi.org/10.1080/00401706.1970.10488634
    The Relationship between Variable Selection and Data Augmentation and a Method for
    Prediction, on the leave-one-out error, Allen, 1974,
    https://doi.org/10.1080/00401706.1974.10489157
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import lstsq

from benchmark.metrics.readouts.targets import Array, Circular, Targets, targets

Fit = Literal["least squares", "ridge"]

ROUNDING = 1e-12  # largest spread of a constant column, relative to its magnitude
_STRENGTHS = 10.0 ** np.linspace(4, -10, 57)  # of equal errors, the strongest is used
_MOST_FREEDOM = 0.75  # degrees of freedom relative to the number of rows
FITTED_ROWS_PER_CODE = 5  # half of the rows are fitted, so this is ten rows in total per code


@dataclass(frozen=True, kw_only=True)
class LinearReadout:
    """A linear map from m codes to the k columns of targets of n factors.

    Arguments:
        centre: mean of the fitted codes, shape (m,).
        offset: mean of the fitted targets, shape (k,).
        weights: matrix of the map, shape (m, k).
        strength_per_factor: strength of the ridge, shape (n,); None for least squares.
    """

    centre: Array
    offset: Array
    weights: Array
    strength_per_factor: Array | None = None

    def predict(self, codes: Array) -> Array:
        """Predicted targets, shape (N, k), of codes, shape (N, m)."""
        return np.asarray((codes - self.centre) @ self.weights + self.offset)


def suitable_fit(fitted_rows: int, codes: int) -> Fit:
    """``ridge`` if there are fewer than five fitted rows per code, else ``least squares``.

    Five fitted rows are ten rows in total.
    """
    return "ridge" if codes * FITTED_ROWS_PER_CODE > fitted_rows else "least squares"


def held_out_r2(
    latents: Array, codes: Array, circular: Circular = None
) -> tuple[Array, Fit, Array | None]:
    """R^2 of each factor on the second half of the rows, for a readout fitted on the first half.

    Arguments:
        latents: shape (N, n). No column may be constant over one of the halves.
        codes: shape (N, m).
        circular: True for each circular factor; None if there is none.

    Returns:
        R^2, shape (n,); the method of the fit; strengths of the ridge, shape (n,), or None.
    """
    half, wanted = len(latents) // 2, targets(latents, circular)
    fit = suitable_fit(half, codes.shape[1])
    readout = fit_linear(wanted[:half], codes[:half], fit)
    per_factor = wanted[half:].r_squared(readout.predict(codes[half:]))
    return per_factor, fit, readout.strength_per_factor


def least_spread(rows: Array) -> Array:
    """The range (maximum - minimum) of each column, of the half with the smaller range, (n,)."""
    half = len(rows) // 2
    return np.asarray(np.minimum(np.ptp(rows[:half], axis=0), np.ptp(rows[half:], axis=0)))


def fit_linear(wanted: Targets, codes: Array, fit: Fit) -> LinearReadout:
    """A linear readout of targets of N rows from codes, shape (N, m), of the same rows."""
    centre, offset = codes.mean(axis=0), wanted.columns.mean(axis=0)
    centred = Targets(columns=wanted.columns - offset, factor=wanted.factor)
    if fit == "ridge":
        weights, strengths = _ridge(centred, codes - centre)
    else:
        # singular values below this, relative to the largest, count as 0
        rounding = max(codes.shape) * np.finfo(np.float64).eps
        weights = lstsq(codes - centre, centred.columns, cond=rounding)[0]
        strengths = None
    return LinearReadout(
        centre=centre, offset=offset, weights=weights, strength_per_factor=strengths
    )


def _ridge(wanted: Targets, codes: Array) -> tuple[Array, Array]:
    """Weights (m, k) and strengths (n,) for targets and codes whose columns have mean 0."""
    spread = codes.std(axis=0)
    scale = np.where(spread > ROUNDING * np.abs(codes).max(axis=0), spread, np.inf)
    left, singular, right = np.linalg.svd(codes / scale, full_matrices=False)
    squares = singular**2
    penalties = _STRENGTHS * (squares.sum() or 1.0)
    moments = left.T @ wanted.columns
    errors = _leave_one_out(wanted.columns, left, squares, moments, penalties)
    best = wanted.pooled(errors).argmin(axis=0)
    shrunk = singular[:, None] / (squares[:, None] + penalties[best[wanted.factor]]) * moments
    return (right.T @ shrunk) / scale[:, None], _STRENGTHS[best]


def _leave_one_out(
    z: Array, left: Array, squares: Array, moments: Array, penalties: Array
) -> Array:
    """Mean squared leave-one-out error of each penalty and column, shape (penalties, k).

    It is infinite for penalties that leave too many degrees of freedom. Penalties must be in
    descending order.
    """
    errors = np.full((len(penalties), z.shape[1]), np.inf)
    for i, penalty in enumerate(penalties):
        kept = squares / (squares + penalty)
        if i and 1.0 + kept.sum() > _MOST_FREEDOM * len(z):
            break
        free = 1.0 - 1.0 / len(z) - left**2 @ kept
        residuals = z - left @ (kept[:, None] * moments)
        errors[i] = ((residuals / np.maximum(free, ROUNDING)[:, None]) ** 2).mean(axis=0)
    return errors
