"""FastICA: a rotation of whitened codes whose components are far from Gaussian.

The rotation maximises E log cosh of all components together, by the fixed point
W <- E[g(Wx) x'] - diag(E g'(Wx)) W with g = tanh, followed by W <- (W W')^(-1/2) W. If codes are a
linear mix of independent factors of which at most one is Gaussian, the components are the factors
up to order, sign and scale. The rotation of Gaussian components is arbitrary.

References:
    Fast and Robust Fixed-Point Algorithms for Independent Component Analysis, Hyvarinen, 1999,
    https://doi.org/10.1109/72.761722
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.metrics.readouts.targets import Array

_ROUNDS = 1000
_SETTLED = 1e-5
_GAUSSIAN_MEAN = 0.3745672  # of log cosh of a standard normal variable
_GAUSSIAN_SD = 0.4356231  # its standard deviation
_SURE = 4.0  # standard errors
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True, kw_only=True)
class Unmixing:
    """A linear map from codes to components.

    Arguments:
        centre: mean of the fitted codes, shape (m,).
        weights: matrix of the map, shape (m, c).
        converged: True if the rotation settled.
    """

    centre: Array
    weights: Array
    converged: bool

    def components(self, codes: Array) -> Array:
        """Components, shape (N, c), of codes, shape (N, m)."""
        return np.asarray((codes - self.centre) @ self.weights)


def fast_ica(codes: Array, components: int, seed: int) -> Unmixing:
    """FastICA of codes, shape (N, m).

    Arguments:
        codes: rows to fit.
        components: largest number of components; the leading principal components are kept.
        seed: seed of the first rotation.
    """
    centre, spread = codes.mean(axis=0), codes.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    _, spreads, axes = np.linalg.svd((codes - centre) / scale, full_matrices=False)
    kept = np.flatnonzero(spreads > _LEAST_SPREAD * max(spreads[0], 1.0))[:components]
    whitening = axes[kept].T * (np.sqrt(len(codes)) / spreads[kept]) / scale[:, None]
    x = (codes - centre) @ whitening
    start = np.random.default_rng(seed).normal(size=(len(kept), len(kept)))
    rotation, converged = _orthonormal(start), len(kept) == 0
    for _ in range(_ROUNDS if len(kept) else 0):
        bent = np.tanh(x @ rotation.T)
        step = bent.T @ x / len(x) - (1.0 - bent**2).mean(axis=0)[:, None] * rotation
        before, rotation = rotation, _orthonormal(step)
        if converged := bool(np.abs(np.abs((rotation * before).sum(1)) - 1).max() < _SETTLED):
            break
    return Unmixing(centre=centre, weights=whitening @ rotation.T, converged=converged)


def look_gaussian(components: Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """True for each component whose mean log cosh and kurtosis are a Gaussian's, within chance.

    Arguments:
        components: rows that FastICA was not fitted to, shape (N, c).
    """
    standard = (components - components.mean(axis=0)) / components.std(axis=0)
    size = np.abs(standard)
    contrast = size + np.log1p(np.exp(-2.0 * size)) - np.log(2.0)
    contrast_away = np.abs(contrast.mean(axis=0) - _GAUSSIAN_MEAN) / _GAUSSIAN_SD
    kurtosis_away = np.abs((standard**4).mean(axis=0) - 3.0) / np.sqrt(24.0)
    away = np.maximum(contrast_away, kurtosis_away) * np.sqrt(len(components))
    return np.asarray(away < _SURE)


def _orthonormal(matrix: Array) -> Array:
    """The nearest matrix with orthonormal rows, (M M')^(-1/2) M."""
    left, _, right = np.linalg.svd(matrix, full_matrices=False)
    return np.asarray(left @ right)
