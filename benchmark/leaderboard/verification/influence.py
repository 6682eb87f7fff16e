"""Influence of every image on a score: how the choice of images changes MCC and R^2.

The influence psi_i of image i is the change of the score if the weight of the image grows, scaled
so that the score of a resampled split with weights w_i (mean 1) is, to first order,

    score + sum_i (w_i - 1) psi_i / N

Influences have mean 0, and sum_i psi_i^2 / N^2 is the variance of the score over splits of N
images. For latents x and codes y with mean 0 and variance 1 over the split:

- MCC: psi_i is the mean over factors of sign(rho) (x_i y_i - rho (x_i^2 + y_i^2) / 2), where rho
  is the correlation of the factor with its assigned code. The assignment is held.
- R^2: psi_i is the mean over factors of (1 - R^2) x_i^2 - e_i^2, times two, for the second half
  of the rows, where e is the residual and x has variance 1 over this half. It is 0 for the first
  half. The readout is held: its error is of second order, because it is near the optimum.

References:
    The Influence Curve and Its Role in Robust Estimation, Hampel, 1974,
    https://doi.org/10.1080/01621459.1974.10482962
    Robust Estimation and Outlier Detection with Correlation Coefficients, on the influence of a
    correlation, Devlin et al., 1975, https://doi.org/10.1093/biomet/62.3.531
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.correlation.correlations import assign_codes, pearson
from benchmark.metrics.readouts.linear import fit_linear, suitable_fit
from benchmark.metrics.readouts.targets import targets
from benchmark.metrics.rows import paired_rows

Array = NDArray[np.float64]
ScoreName = Literal["r2", "mcc"]
SCORES: tuple[ScoreName, ...] = ("r2", "mcc")


def influences(latents: NDArray[np.float32], codes: NDArray[np.float32]) -> dict[ScoreName, Array]:
    """The influence of every image on R^2 and MCC, shape (N,) each.

    Arguments:
        latents: latents of the images, shape (N, n).
        codes: codes of the images, shape (N, n).

    Raises:
        ValueError: for the same reasons as :func:`benchmark.metrics.scores.score`.
    """
    z, found = paired_rows(latents, codes)
    return {"r2": _of_r2(z, found), "mcc": influence_on_mcc(z, found)}


def standardised(values: NDArray[Any]) -> Array:
    """Columns with mean 0 and variance 1, in float64; constant columns are 0."""
    centred = values - values.mean(axis=0, dtype=np.float64)
    spread = centred.std(axis=0)
    return np.asarray(centred / np.where(spread > 0, spread, np.inf))


def influence_on_mcc(z: Array, codes: Array) -> Array:
    """The influence of every image on MCC, shape (N,), for latents and codes, shape (N, n)."""
    correlation = pearson(z, codes)
    assigned, _ = assign_codes(correlation)
    rho = correlation[np.arange(z.shape[1]), assigned]
    x, y = standardised(z), standardised(codes[:, assigned])
    return np.asarray((np.sign(rho) * (x * y - rho * (x**2 + y**2) / 2)).mean(axis=1))


def _of_r2(z: Array, codes: Array) -> Array:
    half = len(z) // 2
    fitted = targets(z[:half], None)
    readout = fit_linear(fitted, codes[:half], suitable_fit(half, codes.shape[1]))
    scored = z[half:]
    errors = (scored - readout.predict(codes[half:])) ** 2 / scored.var(axis=0)
    share = errors.mean(axis=0)  # 1 - R^2
    found = np.zeros(len(z))
    found[half:] = (share * standardised(scored) ** 2 - errors).mean(axis=1)
    return found * (len(z) / (len(z) - half))
