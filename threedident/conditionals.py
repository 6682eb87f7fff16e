r"""Conditional densities p(z~ | z) of positive pairs.

With scale s, one number or one for each coordinate, the laws of a step x are

- :class:`Normal`: exp(-x^2 / (2 s^2)),
- :class:`Laplace`: exp(-|x| / s),
- :class:`GeneralizedNormal`: exp(-(|x| / s)^beta),
- :class:`Uniform`: constant where |x| <= s,

in the box, in R^d, on the unit sphere or projected on it: see :mod:`threedident.steps`. And

- :class:`VonMisesFisher`: exp(kappa z . z~) on the unit sphere S^(d-1).

Each is drawn by inverse distribution functions from a fixed number of uniform numbers:
truncation costs no rejection loop, and a pair can be addressed by the counter of its uniforms.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy.special import gamma

from threedident.density import Conditional
from threedident.directional import Cap, Cosine, Fall, Power, check_sphere, turn, unit_rows
from threedident.runtime.arrays import namespace
from threedident.scales import as_positive
from threedident.special import erf, erfinv, gammainc, gammaincinv
from threedident.steps import Steps

__all__ = [
    "Conditional",
    "GeneralizedNormal",
    "Laplace",
    "Normal",
    "Uniform",
    "VonMisesFisher",
]

_NEGLIGIBLE = 2.0**-53  # of 1; smaller powers may underflow
_MOST_KAPPA = 1e100  # beyond, setting up the inversion takes minutes or fails


@dataclass(frozen=True, repr=False)
class Normal(Steps):
    """Normal steps of standard deviation ``scale``, before any truncation.

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
    """Laplace steps of density exp(-|x| / scale), before any truncation."""

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
    """Steps of density exp(-(|x| / scale)^beta), before any truncation.

    Arguments:
        scale: see :class:`~threedident.steps.Steps`, as for ``space``.
        beta: exponent, at least 1: of Laplace steps 1, of normal ones 2.

    Raises:
        ValueError: beta is less than 1 or not finite, or the scale or space is none.
    """

    beta: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "beta", as_positive("beta", self.beta, 1.0))

    def cdf(self, step: Any) -> Any:
        """See :class:`Steps`."""
        xp, ratio = namespace(step), abs(step)
        power = ratio**self.beta
        mass = gammainc(1.0 / self.beta, power)
        return xp.copysign(xp.where(power < _NEGLIGIBLE, ratio / self._half_area, mass), step)

    def quantile(self, probability: Any) -> Any:
        """See :class:`Steps`."""
        xp, mass = namespace(probability), abs(probability)
        near = mass * self._half_area
        far = gammaincinv(1.0 / self.beta, mass) ** (1.0 / self.beta)
        return xp.copysign(xp.where(near**self.beta < _NEGLIGIBLE, near, far), probability)

    def fall(self, scale: float) -> Fall:
        """See :class:`Steps`."""
        return Power(scale, self.beta)

    @property
    def _half_area(self) -> float:
        """Integral of exp(-r^beta) over r > 0."""
        return float(gamma(1.0 + 1.0 / self.beta))


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
