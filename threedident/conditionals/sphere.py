r"""Draws on the unit sphere S^(d-1), from laws of the angle t = arccos(z . z~) to an anchor.

A law whose density on the sphere, with respect to its surface, is proportional to k(t) makes the
angle have density proportional to k(t) sin(t)^(d-2), and leaves the direction in which to go
uniform. k is one of

- :class:`Cosine`: exp(kappa cos t), von Mises-Fisher;
- :class:`Power`: exp(-(t / scale)^beta), Laplace (beta = 1), normal (2) and beyond;
- :class:`Cap`: 1 where t <= radius, else 0.

References:
    Random Variate Generation by Numerical Inversion When Only the Density Is Known, Derflinger,
    Hormann, Leydold, 2010, https://doi.org/10.1145/1842722.1842723
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from threedident.conditionals.conditional import Conditional, as_positive
from threedident.conditionals.special import ndtri
from threedident.latents.spaces import UNIT_TOLERANCE
from threedident.runtime.arrays import as_float64, as_float64_like, namespace

_FAR = 700.0  # exp(-700) is nothing, and exp(700) is still a number
_LOST = 1e-7  # a direction shorter than this, of normals of order 1, has few digits left
_MOST_KAPPA = 1e100  # beyond, setting up the inversion takes minutes or fails


class Fall(ABC):
    """How a density falls with the angle t, in [0, pi] rad, from its anchor."""

    @property
    @abstractmethod
    def reach(self) -> float:
        """The angle beyond which the density is zero."""

    @abstractmethod
    def log(self, angle: float, /) -> float:
        """Logarithm of k(t), up to a constant, within reach."""

    @abstractmethod
    def mode(self, power: int, /) -> float:
        """Where k(t) sin(t)^power is greatest, power > 0."""


@dataclass(frozen=True)
class Cosine(Fall):
    """exp(kappa cos t)."""

    kappa: float

    @property
    def reach(self) -> float:
        """See :class:`Fall`."""
        return math.pi

    def log(self, angle: float, /) -> float:
        """See :class:`Fall`."""
        return -2.0 * self.kappa * math.sin(angle / 2.0) ** 2

    def mode(self, power: int, /) -> float:
        """See :class:`Fall`."""
        ratio = 2.0 * self.kappa / power
        above = math.hypot(ratio, 1.0) + 1.0
        return math.atan2(math.sqrt(2.0 * above), ratio)


@dataclass(frozen=True)
class Power(Fall):
    """exp(-(t / scale)^beta)."""

    scale: float
    beta: float

    @property
    def reach(self) -> float:
        """See :class:`Fall`."""
        return min(math.pi, self.scale * math.pow(_FAR, 1.0 / self.beta))

    def log(self, angle: float, /) -> float:
        """See :class:`Fall`."""
        ratio = angle / self.scale
        return -math.exp(min(self.beta * math.log(ratio), _FAR)) if ratio else 0.0

    def mode(self, power: int, /) -> float:
        """See :class:`Fall`; the root of beta (t / scale)^beta = power t cot t."""
        alone = self.scale * math.pow(power / self.beta, 1.0 / self.beta)  # as if t cot t were 1
        high = min(math.pi / 2.0, alone)
        low = high / 2.0  # t cot t > 0.78 below pi / 4, and so the root is not as low
        for _ in range(52):
            middle = (low + high) / 2.0
            if self.beta * self.log(middle) + power * middle / math.tan(middle) > 0.0:
                low = middle
            else:
                high = middle
        return low


@dataclass(frozen=True)
class Cap(Fall):
    """1 where t <= radius, else 0."""

    radius: float

    @property
    def reach(self) -> float:
        """See :class:`Fall`."""
        return min(math.pi, self.radius)

    def log(self, _angle: float, /) -> float:
        """See :class:`Fall`."""
        return 0.0

    def mode(self, _power: int, /) -> float:
        """See :class:`Fall`."""
        return min(math.pi / 2.0, self.radius)


def check_sphere(dimension: int, name: str) -> None:
    """ValueError for rows of a dimension that no law on a sphere takes; it is called ``name``."""
    if dimension < 2:
        raise ValueError(
            f"latents: expected two or more columns for {name} on the unit sphere, found "
            f"{dimension}; take a law of the box"
        )


def unit_rows(rows: Any, name: str) -> Any:
    """Rows of norm 1.

    Arguments:
        rows: float64 array or tensor of norms within 0.001 of 1, shape (N, d).
        name: what messages call the law that needs them.

    Raises:
        ValueError: a row is not on the unit sphere.
    """
    lengths = norms(rows)
    gaps = abs(lengths - 1.0)
    if not (gaps <= UNIT_TOLERANCE).all():
        worst = as_float64(lengths).flat[np.argmax(as_float64(gaps))]
        raise ValueError(
            f"latents: expected anchors on the unit sphere for {name}, found norm {worst}; divide "
            "the rows by their norms"
        )
    return rows / lengths


def turn(anchors: Any, uniforms: Any, fall: Fall) -> Any:
    """Points on the sphere around anchors.

    Arguments:
        anchors: float64 array or tensor of unit vectors, shape (N, d), d >= 2.
        uniforms: of the anchors' kind, in (0, 1), shape (N, 1 + d).
        fall: law of the angle between anchors and points.

    Returns:
        Unit vectors, shape (N, d).
    """
    xp = namespace(anchors)
    inverse = _polar_angle(fall, anchors.shape[1]).ppf
    # the numerical inverse lives in scipy, so the angles of tensors visit the host
    angles = as_float64_like(inverse(as_float64(uniforms[:, :1])), anchors)
    return xp.cos(angles) * anchors + xp.sin(angles) * _tangents(anchors, ndtri(uniforms[:, 1:]))


def _tangents(anchors: Any, normals: Any) -> Any:
    """Unit vectors across the anchors, in the directions of ``normals``."""
    tangents = _across(anchors, normals)
    lengths = norms(tangents)
    lost = lengths[:, 0] < _LOST
    if lost.any():
        z = anchors[lost]
        axes = as_float64_like(np.eye(z.shape[1]), z)
        tangents[lost] = _across(z, axes[abs(z).argmin(1)])
        lengths = norms(tangents)
    return tangents / lengths


def _across(anchors: Any, vectors: Any) -> Any:
    return vectors - (vectors * anchors).sum(axis=1, keepdims=True) * anchors


def norms(rows: Any) -> Any:
    """Euclidean norms of rows (N, d), shape (N, 1)."""
    return namespace(rows).sqrt((rows * rows).sum(axis=1, keepdims=True))


class _PolarDensity:
    """Density of the angle, k(t) sin(t)^(d - 2), unnormalised."""

    def __init__(self, fall: Fall, dimension: int) -> None:
        self._fall, self._power = fall, dimension - 2
        self.mode = fall.mode(self._power) if self._power else 0.0
        self._peak = self._log(self.mode)

    def _log(self, angle: float) -> float:
        bend = self._fall.log(angle)
        if self._power == 0:
            return bend
        return bend + self._power * math.log(math.sin(angle))

    def pdf(self, angle: float) -> float:
        if self._power and not 0.0 < angle < math.pi:
            return 0.0
        return math.exp(self._log(angle) - self._peak)


@lru_cache(maxsize=32)
def _polar_angle(fall: Fall, dimension: int) -> Any:
    from scipy.stats.sampling import NumericalInversePolynomial  # slow, and of use here alone

    density = _PolarDensity(fall, dimension)
    return NumericalInversePolynomial(
        density, center=density.mode, domain=(0.0, fall.reach), u_resolution=1e-12
    )


@dataclass(frozen=True, repr=False)
class VonMisesFisher(Conditional):
    """Density exp(kappa z . z~) on the unit sphere.

    Arguments:
        kappa: concentration, positive, at most 1e100.

    Raises:
        ValueError: kappa is none of that.
    """

    kappa: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "kappa", as_positive("kappa", self.kappa))
        if self.kappa > _MOST_KAPPA:
            raise ValueError(
                f"kappa: expected at most {_MOST_KAPPA}, found {self.kappa}; where it is more, "
                "positives equal their anchors"
            )

    def count(self, dimension: int) -> int:
        """One for the angle to the anchor, ``dimension`` for the direction."""
        check_sphere(dimension, type(self).__name__)
        return 1 + dimension

    def place(self, rows: Any) -> Any:
        """See :class:`Conditional`."""
        return unit_rows(rows, type(self).__name__)

    def draw(self, anchors: Any, uniforms: Any) -> Any:
        """See :class:`Conditional`."""
        return turn(anchors, uniforms, Cosine(self.kappa))
