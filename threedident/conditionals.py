r"""Conditional densities p(z~ | z) of positive pairs.

With scale s, dimension d and unit vectors on the sphere:

- :class:`Normal`: exp(-(z~ - z)^2 / (2 s^2)) per coordinate, truncated to the box [-1, 1].
- :class:`Laplace`: exp(-|z~ - z| / s) per coordinate, truncated to the box [-1, 1].
- :class:`GeneralizedNormal`: exp(-(|z~ - z| / s)^beta) per coordinate, truncated to the box.
- :class:`Uniform`: constant where |z~ - z| <= s, per coordinate, cut to the box.
- :class:`VonMisesFisher`: exp(kappa z . z~) on the unit sphere S^(d-1).

Each is drawn by inverse distribution functions from a fixed number of uniform numbers:
truncation costs no rejection loop, and a pair can be addressed by the counter of its uniforms.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
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
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf, erfinv, gamma, gammainc, gammaincinv, ndtri

from threedident.arrays import as_float64
from threedident.spaces import UNIT_TOLERANCE

Array = NDArray[np.float64]

_NEGLIGIBLE = np.finfo(np.float64).eps / 2  # of 1; smaller powers may underflow
_MOST_KAPPA = 1e100  # beyond, setting up the inversion takes minutes or fails


class Conditional(ABC):
    """A density over positives given anchors."""

    @abstractmethod
    def count(self, dimension: int) -> int:
        """How many uniform numbers one positive takes."""

    @abstractmethod
    def transform(self, latents: ArrayLike, uniforms: ArrayLike) -> Array:
        """Positives as a function of uniform numbers.

        Arguments:
            latents: anchors z in the conditional's space, shape (N, d).
            uniforms: numbers in the open interval (0, 1), shape (N, count(d)).

        Returns:
            Positives z~, shape (N, d).

        Raises:
            ValueError: the anchors do not lie in the space.
        """

    def sample(self, latents: ArrayLike, rng: np.random.Generator | int) -> Array:
        """One positive for every anchor.

        Arguments:
            latents: anchors z in the conditional's space, shape (N, d).
            rng: source of randomness, or a seed for one.

        Returns:
            Positives z~, shape (N, d).
        """
        anchors = as_rows(latents)
        shape = (len(anchors), self.count(anchors.shape[1]))
        u = np.random.default_rng(rng).random(shape)
        return self.transform(anchors, np.maximum(u, np.finfo(np.float64).tiny))


def as_rows(latents: ArrayLike) -> Array:
    """Latents as float64, checked to have shape (N, d)."""
    rows = as_float64(latents)
    if rows.ndim != 2:
        raise ValueError(
            f"latents: expected shape (N, d), found {rows.shape}; for one anchor use z[None]"
        )
    return rows


def _check_scale(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name}: expected a positive finite number, found {value}")


@dataclass(frozen=True)
class _OnBox(Conditional):
    """Independent coordinates, each truncated to [-1, 1]."""

    scale: float

    def __post_init__(self) -> None:
        _check_scale("scale", self.scale)

    def count(self, dimension: int) -> int:
        return dimension

    def transform(self, latents: ArrayLike, uniforms: ArrayLike) -> Array:
        z = as_rows(latents)
        if not np.all(np.abs(z) <= 1.0):
            worst = z.flat[np.argmax(np.where(np.isnan(z), np.inf, np.abs(z)))]
            raise ValueError(
                f"latents: {type(self).__name__} expects anchors in the box [-1, 1], found "
                f"{worst}; pass raw latents"
            )
        with np.errstate(over="ignore"):  # tiny scales: a step of infinitely many scales is fine
            low, high = self._cdf(-1.0 - z), self._cdf(1.0 - z)
            between = low + np.asarray(uniforms) * (high - low)
            inside = np.clip(between, np.nextafter(low, high), np.nextafter(high, low))
            return np.clip(z + self._quantile(inside), -1.0, 1.0)

    @abstractmethod
    def _cdf(self, step: Array) -> Array:
        """P(|X| <= |step|) with the sign of ``step``, X being the untruncated step z~ - z.

        Unlike the distribution function, it loses no digits around 0, where large scales lie.
        """

    @abstractmethod
    def _quantile(self, probability: Array) -> Array:
        """Inverse of :meth:`_cdf`."""


@dataclass(frozen=True)
class Normal(_OnBox):
    """Normal steps of standard deviation ``scale`` (before truncation) on the box."""

    def _cdf(self, step: Array) -> Array:
        return np.asarray(erf(step / self.scale / math.sqrt(2.0)))

    def _quantile(self, probability: Array) -> Array:
        return np.asarray(self.scale * (math.sqrt(2.0) * erfinv(probability)))


@dataclass(frozen=True)
class Laplace(_OnBox):
    """Laplace steps of density exp(-|x| / scale) (before truncation) on the box."""

    def _cdf(self, step: Array) -> Array:
        return np.copysign(np.expm1(-np.abs(step) / self.scale), step)

    def _quantile(self, probability: Array) -> Array:
        return np.copysign(self.scale * np.log1p(-np.abs(probability)), probability)


@dataclass(frozen=True)
class GeneralizedNormal(_OnBox):
    """Steps of density exp(-(|x| / scale)^beta) (before truncation) on the box, beta >= 1."""

    beta: float = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1.0 <= self.beta < math.inf:
            raise ValueError(f"beta: expected a finite number of at least 1, found {self.beta}")

    def _cdf(self, step: Array) -> Array:
        ratio = np.abs(step) / self.scale
        power = ratio**self.beta
        mass = gammainc(1.0 / self.beta, power)
        return np.copysign(np.where(power < _NEGLIGIBLE, ratio / self._half_area, mass), step)

    def _quantile(self, probability: Array) -> Array:
        mass = np.abs(probability)
        near = mass * self._half_area
        far = gammaincinv(1.0 / self.beta, mass) ** (1.0 / self.beta)
        ratio = np.where(near**self.beta < _NEGLIGIBLE, near, far)
        return np.copysign(self.scale * ratio, probability)

    @property
    def _half_area(self) -> float:
        """Integral of exp(-r^beta) over r > 0."""
        return float(gamma(1.0 + 1.0 / self.beta))


@dataclass(frozen=True)
class Uniform(_OnBox):
    """Steps uniform on [-scale, scale], cut to the box."""

    def _cdf(self, step: Array) -> Array:
        return np.clip(step / self.scale, -1.0, 1.0)

    def _quantile(self, probability: Array) -> Array:
        return self.scale * probability


@dataclass(frozen=True)
class VonMisesFisher(Conditional):
    """Von Mises-Fisher with concentration ``kappa`` on the unit sphere."""

    kappa: float

    def __post_init__(self) -> None:
        _check_scale("kappa", self.kappa)
        if self.kappa > _MOST_KAPPA:
            raise ValueError(f"kappa: expected at most {_MOST_KAPPA}, found {self.kappa}")

    def count(self, dimension: int) -> int:
        """One for the angle to the anchor, ``dimension`` for the direction."""
        return 1 + dimension

    def transform(self, latents: ArrayLike, uniforms: ArrayLike) -> Array:
        """See :class:`Conditional`; the space is the unit sphere, d >= 2."""
        z, u = as_rows(latents), np.asarray(uniforms)
        norms = np.linalg.norm(z, axis=1, keepdims=True)
        if z.shape[1] < 2 or not np.all(np.abs(norms - 1.0) <= UNIT_TOLERANCE):
            worst = norms.flat[np.argmax(np.abs(norms - 1.0))] if z.shape[1] >= 2 else "d = 1"
            raise ValueError(
                "latents: VonMisesFisher expects anchors on the unit sphere in two or more "
                f"dimensions, found norm {worst}; divide the rows by their norms"
            )
        z = z / norms
        angle = _polar_angle(self.kappa, z.shape[1]).ppf(u[:, :1])
        normals = ndtri(u[:, 1:])
        tangents = normals - (normals * z).sum(axis=1, keepdims=True) * z
        tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
        return np.asarray(np.cos(angle) * z + np.sin(angle) * tangents)


class _PolarDensity:
    """Density of the angle between z and z~: exp(kappa cos t) sin(t)^(d - 2), unnormalised."""

    def __init__(self, kappa: float, dimension: int) -> None:
        self._kappa, self._power = kappa, dimension - 2
        self.mode = 0.0
        if self._power:
            ratio = 2.0 * kappa / self._power
            above = math.hypot(ratio, 1.0) + 1.0
            self.mode = math.atan2(math.sqrt(2.0 * above), ratio)
        self._peak = self._log(self.mode)

    def _log(self, angle: float) -> float:
        bend = -2.0 * self._kappa * math.sin(angle / 2.0) ** 2
        if self._power == 0:
            return bend
        return bend + self._power * math.log(math.sin(angle))

    def pdf(self, angle: float) -> float:
        if self._power and not 0.0 < angle < math.pi:
            return 0.0
        return math.exp(self._log(angle) - self._peak)


@lru_cache(maxsize=32)
def _polar_angle(kappa: float, dimension: int) -> Any:
    from scipy.stats.sampling import NumericalInversePolynomial  # slow, and of use to vMF alone

    density = _PolarDensity(kappa, dimension)
    return NumericalInversePolynomial(
        density, center=density.mode, domain=(0.0, math.pi), u_resolution=1e-12
    )
