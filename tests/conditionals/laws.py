"""Laws in closed form or from scipy, and draws by either library, for tests of conditionals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy import integrate, stats

from threedident.conditionals.conditional import Conditional
from threedident.conditionals.sphere import VonMisesFisher
from threedident.conditionals.steps import GeneralizedNormal, Laplace, Normal, Uniform

LEVEL = 1e-4  # no healthy sampler trips over it
N = 20_000
ANCHORS = (-1.0, -0.97, 0.0, 0.4, 0.999, 1.0)
KINDS = (Normal, Laplace, GeneralizedNormal, Uniform)
LIBRARIES = ("numpy", "torch")

Cdf = Callable[[np.ndarray], np.ndarray]


def draw(conditional: Conditional, anchors: np.ndarray, seed: int, library: str) -> np.ndarray:
    """One positive for each anchor, drawn by numpy or by torch from a generator of its own."""
    if library == "numpy":
        return conditional.sample(anchors, np.random.default_rng(seed))
    drawn = conditional.sample(anchors, torch.Generator().manual_seed(seed))
    assert drawn.dtype == torch.float64
    return drawn.numpy()


def ends_and_inner() -> tuple[np.ndarray, np.ndarray]:
    """Every anchor with uniform numbers from end to end."""
    u = np.concatenate([[1e-300, 2.0**-53], np.linspace(0.001, 0.999, 333), [1 - 2.0**-53]])
    return np.tile(ANCHORS, (len(u), 1)), np.tile(u[:, None], (1, len(ANCHORS)))


def unit(rng: np.random.Generator, n: int, dimension: int) -> np.ndarray:
    """Points uniform on the sphere."""
    points = rng.normal(size=(n, dimension))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def whole(conditional: Conditional, anchor: float) -> stats.rv_continuous:
    """Scipy's own distribution of a coordinate, not cut to [-1, 1]."""
    match conditional:
        case Normal(scale):
            return stats.norm(anchor, scale)
        case Laplace(scale):
            return stats.laplace(anchor, scale)
        case GeneralizedNormal(scale, beta):
            return stats.gennorm(beta, anchor, scale)
        case Uniform(scale):
            return stats.uniform(anchor - scale, 2 * scale)
    raise AssertionError(conditional)


def truncated(conditional: Conditional, anchor: float) -> Cdf:
    """The cdf of scipy's own distribution, cut to [-1, 1]."""
    law = whole(conditional, anchor)
    low, high = law.cdf(-1), law.cdf(1)
    return lambda x: (law.cdf(x) - low) / (high - low)


def falls(conditional: Conditional, angle: np.ndarray) -> np.ndarray:
    """Density on the sphere at an angle from the anchor, 1 at the anchor."""
    match conditional:
        case VonMisesFisher(kappa):
            return np.exp(kappa * (np.cos(angle) - 1))
        case Normal(scale):
            return np.exp(-(angle**2) / (2 * scale**2))
        case Laplace(scale):
            return np.exp(-angle / scale)
        case GeneralizedNormal(scale, beta):
            return np.exp(-((angle / scale) ** beta))
        case Uniform(scale):
            return (angle <= scale).astype(float)
    raise AssertionError(conditional)


def angles(conditional: Conditional, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """A fine grid of angles to the anchor and their distribution on it, by quadrature."""
    grid = np.linspace(0, np.pi, 400_001)
    density = falls(conditional, grid) * np.sin(grid) ** (dimension - 2)
    mass = integrate.cumulative_trapezoid(density, grid, initial=0)
    return grid, mass / mass[-1]


def angle_cdf(conditional: Conditional, dimension: int) -> Cdf:
    grid, mass = angles(conditional, dimension)
    return lambda t: np.interp(t, grid, mass)


def resultant(conditional: Conditional, dimension: int) -> float:
    """E[z . z~], by quadrature."""
    grid, mass = angles(conditional, dimension)
    return float(integrate.trapezoid(mass * np.sin(grid), grid) - 1)


def between(anchors: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Angles in rad between rows of norm 1, exact for small ones too."""
    return 2 * np.arcsin(np.clip(np.linalg.norm(anchors - points, axis=1) / 2, 0, 1))
