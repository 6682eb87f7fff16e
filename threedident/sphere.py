"""Hyperspherical coordinates of the unit sphere S^(d-1).

x_1 = cos phi_1, x_2 = sin phi_1 cos phi_2, ..., x_(d-1) = sin phi_1 ... sin phi_(d-2)
cos phi_(d-1), x_d = sin phi_1 ... sin phi_(d-1). Of a uniform point the angles are independent,
phi_k with density proportional to sin(phi_k)^(d-1-k).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def sphere_points(angles: ArrayLike) -> NDArray[np.float64]:
    """Points on the unit sphere, shape (N, d), of hyperspherical angles (N, d - 1) in rad."""
    phi = np.asarray(angles, np.float64)
    one = np.ones((len(phi), 1))
    sines = np.hstack([one, np.cumprod(np.sin(phi), axis=1)])
    return np.asarray(sines * np.hstack([np.cos(phi), one]))


def sphere_angles(points: ArrayLike) -> NDArray[np.float64]:
    """Hyperspherical angles (N, d - 1) in rad, the last a full turn, of points (N, d)."""
    x = np.asarray(points, np.float64)
    polar = np.arctan2(tail_norms(x)[:, 1:-1], x[:, :-2])
    last = np.arctan2(x[:, -1:], x[:, -2:-1])
    turned = np.where(last < 0.0, last + 2.0 * math.pi, last)
    return np.hstack([polar, turned], dtype=np.float64)


def tail_norms(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Norms of (x_k, ..., x_d), for each k."""
    return np.asarray(np.sqrt(np.cumsum((x**2)[:, ::-1], axis=1)[:, ::-1]))
