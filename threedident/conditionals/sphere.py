r"""Sampling on the unit sphere S^(d-1), by the angle t = arccos(z . z~) to an anchor.

Let the density on the sphere, with respect to surface area, be proportional to k(t). The angle
then has a density proportional to k(t) sin(t)^(d-2), and the direction from the anchor is
uniform. k is one of

- :class:`Cosine`: exp(kappa cos t), von Mises-Fisher;
- :class:`Power`: exp(-(t / scale)^beta), Laplace for beta = 1, normal for beta = 2;
- :class:`Cap`: 1 where t <= radius, else 0.

References:
    Random Variate Generation by Numerical Inversion When Only the Density Is Known, Derflinger,
    Hormann, Leydold, 2010, https://doi.org/10.1145/1842722.1842723
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from threedident.conditionals.conditional import Conditional, as_positive
from threedident.conditionals.special import ndtri
from threedident.conditionals.tables import Table
from threedident.latents.spaces import UNIT_TOLERANCE
from threedident.runtime.arrays import as_float64, as_float64_like, fails, is_tensor, namespace

_FAR = 700.0  # exp(-700) is negligible, and exp(700) is still finite
_LOST = 1e-7  # a tangent shorter than this has few correct digits left; the normals are of order 1
_RESOLUTION, _LEAST = 1e-12, 2.0**-40  # of probabilities: of the inversion, and of its tables
_MOST_KAPPA = 1e100  # above, setting up the inversion takes minutes or fails


class Fall(ABC):
    """Unnormalised density k(t) as a function of the angle t to the anchor, in [0, pi] rad."""

    @property
    @abstractmethod
    def reach(self) -> float:
        """The angle beyond which the density is zero."""

    @abstractmethod
    def log(self, angle: float, /) -> float:
        """Logarithm of k(t) up to a constant, for angles up to :attr:`reach`."""

    @abstractmethod
    def mode(self, power: int, /) -> float:
        """The angle where k(t) sin(t)^power is greatest, for power > 0."""


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
        """See :class:`Fall`. The mode is the root of beta (t / scale)^beta = power t cot t."""
        alone = self.scale * math.pow(power / self.beta, 1.0 / self.beta)  # as if t cot t were 1
        high = min(math.pi / 2.0, alone)
        low = high / 2.0  # t cot t > 0.78 below pi / 4, so the root is larger
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
    """Check that rows have a dimension that a distribution on the sphere can have.

    Arguments:
        dimension: columns of a row.
        name: name of the distribution in the error message.

    Raises:
        ValueError: there are fewer than two columns.
    """
    if dimension < 2:
        raise ValueError(
            f"latents: expected two or more columns for {name} on the unit sphere, found "
            f"{dimension}; take a distribution of the box"
        )


def unit_rows(rows: Any, name: str) -> Any:
    """Rows scaled to norm 1.

    Arguments:
        rows: float64 array or tensor with norms within 0.001 of 1, shape (N, d).
        name: name of the distribution in error messages.

    Raises:
        ValueError: a row is not on the unit sphere.
    """
    lengths = norms(rows)
    gaps = abs(lengths - 1.0)
    if fails(gaps <= UNIT_TOLERANCE):
        worst = as_float64(lengths).flat[np.argmax(as_float64(gaps))]
        raise ValueError(
            f"latents: expected anchors on the unit sphere for {name}, found norm {worst}; divide "
            "the rows by their norms"
        )
    return rows / lengths


def turn(anchors: Any, uniforms: Any, fall: Fall) -> Any:
    """Random points on the sphere around anchors.

    Arguments:
        anchors: float64 array or tensor of unit vectors, shape (N, d), d >= 2.
        uniforms: numbers in (0, 1), shape (N, 1 + d), an array or a tensor as ``anchors`` is.
        fall: density of the angle between anchors and points.

    Returns:
        Unit vectors, shape (N, d).
    """
    xp, first = namespace(anchors), uniforms[:, :1]
    if is_tensor(first) and first.device.type != "cpu":
        angles = _tabulated_angle(fall, anchors.shape[1])(first)
    else:
        angles = as_float64_like(
            _polar_angle(fall, anchors.shape[1]).ppf(as_float64(first)), anchors
        )
    return xp.cos(angles) * anchors + xp.sin(angles) * _tangents(anchors, ndtri(uniforms[:, 1:]))


def _tangents(anchors: Any, normals: Any) -> Any:
    """Unit tangent vectors at the anchors, in the directions of ``normals``."""
    tangents = _across(anchors, normals)
    lengths = norms(tangents)
    kept = lengths >= _LOST
    if is_tensor(kept) or fails(kept):  # a tensor's may not be read
        where = {"device": anchors.device} if is_tensor(anchors) else {}
        axes = namespace(anchors).eye(anchors.shape[1], dtype=anchors.dtype, **where)
        others = _across(anchors, axes[abs(anchors).argmin(1)])
        tangents = namespace(anchors).where(kept, tangents, others)
        lengths = norms(tangents)
    return tangents / lengths


def _across(anchors: Any, vectors: Any) -> Any:
    return vectors - (vectors * anchors).sum(axis=1, keepdims=True) * anchors


def norms(rows: Any) -> Any:
    """Euclidean norms of rows (N, d), shape (N, 1)."""
    return namespace(rows).sqrt((rows * rows).sum(axis=1, keepdims=True))


class _PolarDensity:
    """Unnormalised density of the angle, k(t) sin(t)^(d - 2)."""

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
    from scipy.stats.sampling import NumericalInversePolynomial  # slow, and used only here

    density = _PolarDensity(fall, dimension)
    return NumericalInversePolynomial(
        density, center=density.mode, domain=(0.0, fall.reach), u_resolution=_RESOLUTION
    )


@lru_cache(maxsize=32)
def _tabulated_angle(fall: Fall, dimension: int) -> Callable[[Any], Any]:
    """Inverse of :func:`_polar_angle` for tensors on a GPU, which scipy would copy to the CPU.

    Angles agree with scipy's to a relative 1e-9 for probabilities at least 2^-10 from either end.
    Everywhere, the distribution function of an angle gives back its probability to 1.5e-12.
    """
    inverse = _polar_angle(fall, dimension).ppf
    reach = float(inverse(1.0))
    exact = {"tolerance": 1e-9, "checked": 2.0**-10}
    try:
        below = Table(inverse, _LEAST, 0.5, **exact)
        above = Table(lambda rest: reach - inverse(1.0 - rest), _LEAST, 0.5, **exact)
    except ArithmeticError:
        return lambda u: as_float64_like(inverse(as_float64(u)), u)
    return lambda u: namespace(u).where(u < 0.5, below(u), reach - above(1.0 - u))


@dataclass(frozen=True, repr=False)
class VonMisesFisher(Conditional):
    """Density exp(kappa z . z~) on the unit sphere.

    Arguments:
        kappa: concentration, positive, at most 1e100.

    Raises:
        ValueError: kappa is outside these bounds.
    """

    kappa: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "kappa", as_positive("kappa", self.kappa))
        if self.kappa > _MOST_KAPPA:
            raise ValueError(
                f"kappa: expected at most {_MOST_KAPPA}, found {self.kappa}; with a larger one, "
                "positives would equal their anchors"
            )

    def count(self, dimension: int) -> int:
        """See :class:`Conditional`: one number for the angle, ``dimension`` for the direction."""
        check_sphere(dimension, type(self).__name__)
        return 1 + dimension

    def place(self, rows: Any) -> Any:
        """See :class:`Conditional`."""
        return unit_rows(rows, type(self).__name__)

    def draw(self, anchors: Any, uniforms: Any) -> Any:
        """See :class:`Conditional`."""
        return turn(anchors, uniforms, Cosine(self.kappa))
