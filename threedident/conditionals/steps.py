"""Conditionals defined by the distribution of one step x, in four spaces.

- ``box``: z~ = z + x with independent steps x per coordinate, truncated to [-1, 1];
- ``real``: z~ = z + x with independent steps x per coordinate, on all of R^d;
- ``sphere``: unit vectors. The density with respect to surface area is that of a step of length
  arccos(z . z~);
- ``projected``: unit vectors, drawn in R^d around z and divided by their norms, as published.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma, gammainc, gammainccinv, gammaincinv

from threedident.conditionals.conditional import Conditional, as_positive, as_scale
from threedident.conditionals.special import erf, erfinv
from threedident.conditionals.sphere import (
    Cap,
    Fall,
    Power,
    check_sphere,
    norms,
    turn,
    unit_rows,
)
from threedident.conditionals.tables import tabulated
from threedident.runtime.arrays import as_float64, as_float64_like, fails, namespace
from threedident.runtime.errors import unknown

Space = Literal["box", "real", "sphere", "projected"]

_NEGLIGIBLE = 2.0**-53  # relative to 1; smaller powers may underflow
_NEAR, _FAR = 2.0**-53, 64.0  # nothing bends below, and no mass is left beyond
_MOST_MASS = 1.0 - 2.0**-53  # largest probability whose quantile is finite
_LEAST_ANGLE = 1e-50  # below, setting up the inversion takes seconds or longer
_MOST_SCALE = 1e100  # above, sums and norms of steps may overflow


@dataclass(frozen=True, repr=False)
class Steps(Conditional):
    """Base class of conditionals with independent steps per coordinate, or one step of the angle.

    A subclass defines the distribution of its step at scale 1 (``cdf``), the inverse of it
    (``quantile``), and the density of the angle on the sphere (``fall``).

    Arguments:
        scale: width of the steps in units of the latents, or of the angle in rad on the sphere;
            positive and finite. It is one number for all columns or, except on the sphere, one
            number for each column.
        space: ``box``, ``real``, ``sphere`` or ``projected``.

    Raises:
        ValueError: there is no such space, or the space does not accept the scale.
    """

    scale: float | Sequence[float]
    space: Space = field(default="box", kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", as_scale(self.scale))
        if self.space not in get_args(Space):
            raise ValueError(unknown("space", self.space, get_args(Space), "name one of these"))
        if self.space == "sphere":
            _check_angle(self.scale)
        elif self.space != "box" and np.max(self.scale) > _MOST_SCALE:
            raise ValueError(
                f"scale: expected at most {_MOST_SCALE} in the {self.space} space, found "
                f"{np.max(self.scale)}; measure in larger units"
            )

    def count(self, dimension: int) -> int:
        """See :class:`Conditional`: one number per coordinate, and one for a sphere's angle."""
        if self.space in ("sphere", "projected"):
            check_sphere(dimension, type(self).__name__)
        if isinstance(self.scale, tuple) and len(self.scale) != dimension:
            raise ValueError(
                f"scale: expected one number for each of the {dimension} columns, found "
                f"{len(self.scale)}; give one for each, or one for all"
            )
        return dimension + 1 if self.space == "sphere" else dimension

    def place(self, rows: Any) -> Any:
        """See :class:`Conditional`."""
        name = type(self).__name__
        if self.space in ("sphere", "projected"):
            return unit_rows(rows, name)
        if self.space == "box":
            _check(rows, abs(rows) <= 1.0, f"anchors in the box [-1, 1] for {name}")
        else:
            _check(rows, abs(rows) < math.inf, f"finite anchors for {name}")
        return rows

    def draw(self, anchors: Any, uniforms: Any) -> Any:
        """See :class:`Conditional`."""
        scale: Any = self.scale
        if self.space == "sphere":
            return turn(anchors, uniforms, self.fall(scale))
        if isinstance(scale, tuple):
            scale = as_float64_like(scale, anchors)
        if self.space == "box":
            return self._truncated(anchors, uniforms, scale)
        mass = namespace(uniforms).clip(2.0 * uniforms - 1.0, -_MOST_MASS, _MOST_MASS)
        positives = anchors + scale * self.quantile(mass)
        return positives if self.space == "real" else positives / norms(positives)

    def _truncated(self, z: Any, u: Any, scale: Any) -> Any:
        xp = namespace(z)
        with np.errstate(over="ignore"):  # with a tiny scale, an infinite ratio is correct here
            low, high = self.cdf((-1.0 - z) / scale), self.cdf((1.0 - z) / scale)
            between = low + u * (high - low)
            inside = xp.clip(between, xp.nextafter(low, high), xp.nextafter(high, low))
            return xp.clip(z + scale * self.quantile(inside), -1.0, 1.0)

    @abstractmethod
    def cdf(self, step: Any) -> Any:
        """P(|X| <= |step|) with the sign of ``step``, where X is the step at scale 1.

        Large scales lead to steps near 0. The usual distribution function would lose digits
        there; this one does not.
        """

    @abstractmethod
    def quantile(self, probability: Any) -> Any:
        """Inverse of :meth:`cdf`."""

    @abstractmethod
    def fall(self, scale: float) -> Fall:
        """Density of the angle to the anchor, on the sphere."""


def _check(rows: Any, inside: Any, expected: str) -> None:
    if fails(inside):
        row, column = np.argwhere(as_float64(inside) == 0.0)[0]
        raise ValueError(
            f"latents: expected {expected}, found {float(rows[row, column])} in row {row}; pass "
            "raw latents of its space"
        )


def _check_angle(scale: Any) -> None:
    if isinstance(scale, tuple):
        raise ValueError(
            "scale: expected one number on the sphere, where steps are angles, found "
            f"{len(scale)}; give one, or take the projected space"
        )
    if scale < _LEAST_ANGLE:
        raise ValueError(
            f"scale: expected at least {_LEAST_ANGLE} on the sphere, found {scale}; positives "
            "would equal their anchors"
        )


@dataclass(frozen=True, repr=False)
class Normal(Steps):
    """Normal steps with standard deviation ``scale``, before any truncation.

    Example:
        positives = Normal(0.1).sample(anchors, rng)
        positives = Normal((0.1, 0.5), space="real").sample(anchors, torch.Generator("cuda"))
    """

    def cdf(self, step: Any) -> Any:
        """See :class:`Steps`."""
        return erf(step / math.sqrt(2.0))

    def quantile(self, probability: Any) -> Any:
        """See :class:`Steps`."""
        return math.sqrt(2.0) * erfinv(probability)

    def fall(self, scale: float) -> Fall:
        """See :class:`Steps`."""
        return Power(math.sqrt(2.0) * scale, 2.0)


@dataclass(frozen=True, repr=False)
class Laplace(Steps):
    """Laplace steps with density proportional to exp(-|x| / scale), before any truncation."""

    def cdf(self, step: Any) -> Any:
        """See :class:`Steps`."""
        xp = namespace(step)
        return xp.copysign(xp.expm1(-abs(step)), step)

    def quantile(self, probability: Any) -> Any:
        """See :class:`Steps`."""
        xp = namespace(probability)
        return xp.copysign(xp.log1p(-abs(probability)), probability)

    def fall(self, scale: float) -> Fall:
        """See :class:`Steps`."""
        return Power(scale, 1.0)


@dataclass(frozen=True, repr=False)
class GeneralizedNormal(Steps):
    """Steps with density proportional to exp(-(|x| / scale)^beta), before any truncation.

    Arguments:
        scale: see :class:`~threedident.conditionals.steps.Steps`.
        space: see :class:`~threedident.conditionals.steps.Steps`.
        beta: exponent, at least 1. Laplace steps have 1, normal steps 2.

    Raises:
        ValueError: beta is less than 1 or not finite, or ``scale`` or ``space`` is not valid.
    """

    beta: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "beta", as_positive("beta", self.beta, 1.0))

    def cdf(self, step: Any) -> Any:
        """See :class:`Steps`."""
        xp, ratio = namespace(step), abs(step)
        mass = xp.clip(ratio * _mass_by_ratio(self.beta)(ratio), 0.0, 1.0)
        return xp.copysign(xp.where(ratio < _FAR, mass, 1.0), step)

    def quantile(self, probability: Any) -> Any:
        """See :class:`Steps`."""
        xp = namespace(probability)
        log_tail = -xp.log1p(-abs(probability))
        return xp.copysign(log_tail * _ratio_by_log_tail(self.beta)(log_tail), probability)

    def fall(self, scale: float) -> Fall:
        """See :class:`Steps`."""
        return Power(scale, self.beta)


def _half_area(beta: float) -> float:
    """Integral of exp(-r^beta) over r > 0."""
    return float(gamma(1.0 + 1.0 / beta))


@lru_cache(maxsize=32)
def _mass_by_ratio(beta: float) -> Callable[[Any], Any]:
    """P(|X| <= r) / r as a function of r, where X has density proportional to exp(-|x|^beta)."""

    def function(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):  # an infinite power has mass 1
            power = ratio**beta
        linear = power < _NEGLIGIBLE  # where the mass keeps no digits of the power
        return np.where(linear, 1.0 / _half_area(beta), gammainc(1.0 / beta, power) / ratio)

    return tabulated(function, _NEAR, _FAR)


@lru_cache(maxsize=32)
def _ratio_by_log_tail(beta: float) -> Callable[[Any], Any]:
    """The ratio r / s as a function of s = -log P(|X| > r)."""

    def function(log_tail: NDArray[np.float64]) -> NDArray[np.float64]:
        mass = -np.expm1(-log_tail)
        near = mass * _half_area(beta)
        inverse = np.where(
            mass < 0.5,
            gammaincinv(1.0 / beta, mass),
            gammainccinv(1.0 / beta, np.exp(-log_tail)),
        )
        return np.where(near**beta < _NEGLIGIBLE, near, inverse ** (1.0 / beta)) / log_tail

    return tabulated(function, _NEAR, _FAR)


@dataclass(frozen=True, repr=False)
class Uniform(Steps):
    """Steps uniform on [-scale, scale], before any truncation."""

    def cdf(self, step: Any) -> Any:
        """See :class:`Steps`."""
        return namespace(step).clip(step, -1.0, 1.0)

    def quantile(self, probability: Any) -> Any:
        """See :class:`Steps`."""
        return probability

    def fall(self, scale: float) -> Fall:
        """See :class:`Steps`."""
        return Cap(scale)
