r"""A conditional on the unit sphere with another concentration along each axis.

    p(z~ | z) proportional to exp(-1/2 sum_k c_k (z~_k - z_k)^2)

If all c_k are equal, this is the von Mises-Fisher law of that concentration.

Positives are drawn by rejection, exactly. Let L = diag(c), a = z'Lz and t = z'Lx. For every x on
the sphere

    1/2 (x - z)'L(x - z) = x'Bx + (t - a)^2 / (2 a),    B = 1/2 (L - Lzz'L / a),

so the Bingham density exp(-x'Bx) is an envelope, which touches the density at z. It is drawn from
an angular central Gaussian envelope, whose precision differs from a diagonal matrix by one rank.
An envelope is the same at x and -x, and one of the two is chosen by its density.

References:
    A New Unified Approach for the Simulation of a Wide Class of Directional Distributions, Kent,
    Ganeiber, Mardia, 2018, https://doi.org/10.1080/10618600.2017.1390468
    InfoNCE: Identifying the Gap Between Theory and Practice, Rusak et al., 2024,
    https://arxiv.org/abs/2407.00143
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from threedident.conditionals.conditional import Conditional, as_positive
from threedident.conditionals.special import ndtri
from threedident.conditionals.sphere import check_sphere, norms, unit_rows
from threedident.latents.philox import uniforms as uniforms_at
from threedident.runtime.arrays import as_float64_like, is_tensor, namespace

_MOST_KAPPA = 1e12
_MOST_RATIO = 1e6
_MOST_ROUNDS = 10_000
_ADDRESSES = 2**52
_STREAM = 12


@dataclass(frozen=True, repr=False)
class Anisotropic(Conditional):
    """Density exp(-1/2 sum_k c_k (z~_k - z_k)^2) on the unit sphere.

    The concentrations c_k rise linearly from ``kappa`` for the first axis to ``ratio * kappa``
    for the last.

    With ten axes about a quarter of all proposals is accepted, with fifty about one in a hundred.
    A positive takes one uniform number. It is the address of the numbers of all rounds of its
    rejection, so positives are exact, and each depends on its own anchor and number alone.

    Arguments:
        kappa: least concentration, positive, at most 1e12.
        ratio: greatest concentration over the least, from 1 to 1e6.

    Raises:
        ValueError: a number is outside these bounds.
    """

    kappa: float
    ratio: float = 5.0

    def __post_init__(self) -> None:
        for name, least, most in (("kappa", 0.0, _MOST_KAPPA), ("ratio", 1.0, _MOST_RATIO)):
            value = as_positive(name, getattr(self, name), least)
            object.__setattr__(self, name, value)
            if value > most:
                raise ValueError(f"{name}: expected at most {most:g}, found {value:g}; lower it")

    def concentrations(self, dimension: int) -> Any:
        """The concentrations c_k of the axes, shape (dimension,), float64."""
        return self.kappa * np.linspace(1.0, self.ratio, dimension)

    def count(self, dimension: int) -> int:
        """See :class:`Conditional`: one number, which addresses all others."""
        check_sphere(dimension, type(self).__name__)
        return 1

    def place(self, rows: Any) -> Any:
        """See :class:`Conditional`."""
        return unit_rows(rows, type(self).__name__)

    def draw(self, anchors: Any, uniforms: Any) -> Any:
        """See :class:`Conditional`."""
        dimension = anchors.shape[1]
        weights = as_float64_like(self.concentrations(dimension), anchors)
        width = _envelope_width(self, dimension)
        addresses = uniforms[:, 0] * _ADDRESSES
        addresses = addresses.long() if is_tensor(addresses) else addresses.astype(np.int64)
        xp, positives = namespace(anchors), 0.0 * anchors
        left = xp.arange(len(anchors))
        left = left.to(anchors.device) if is_tensor(anchors) else left
        for turn in range(_MOST_ROUNDS):
            u = uniforms_at(0, (_STREAM,), addresses[left], dimension + 3, epochs=turn)
            found, accepted = _propose(anchors[left], weights, width, u)
            positives[left[accepted]] = found[accepted]
            left = left[~accepted]
            if not len(left):
                return positives
        raise ValueError(
            f"ratio: expected one that rejection can draw in {dimension} dimensions, found "
            f"{self.ratio:g} for kappa {self.kappa:g}; lower it, or take fewer dimensions"
        )


def _propose(anchors: Any, weights: Any, width: float, u: Any) -> tuple[Any, Any]:
    """One proposal for each anchor, and which of them are accepted.

    Arguments:
        anchors: unit vectors z, shape (N, d).
        weights: concentrations c, shape (d,).
        width: number b > 0 of the angular central Gaussian with precision I + 2 B / b.
        u: numbers in (0, 1), shape (N, d + 3).

    Returns:
        Unit vectors, shape (N, d), and booleans, shape (N,).
    """
    xp, dimension = namespace(anchors), anchors.shape[1]
    pulled = weights * anchors  # Lz
    a = (pulled * anchors).sum(axis=1, keepdims=True)
    diagonal = 1.0 + weights / width  # the precision is this less Lzz'L / (a b)
    # of the matrix D - ww' / (ab), with w = Lz: 1 - w'D^-1 w / (ab), without cancellation
    rest = (pulled * anchors / diagonal).sum(axis=1, keepdims=True) / a
    normals = ndtri(u[:, : dimension + 1])
    along = normals[:, dimension:] / xp.sqrt(a * width * rest)
    points = normals[:, :dimension] / diagonal**0.5 + along * pulled / diagonal
    points = points / norms(points)
    t = (pulled * points).sum(axis=1, keepdims=True)
    # x'Bx, and the densities of x and of -x over the Bingham density
    bend = 0.5 * ((weights * points * points).sum(axis=1, keepdims=True) - t * t / a)
    here, there = (xp.exp(-((t - a * sign) ** 2) / (2.0 * a)) for sign in (1.0, -1.0))
    log_envelope = (dimension - width) / 2.0 + dimension / 2.0 * math.log(width / dimension)
    bingham = xp.exp(dimension / 2.0 * xp.log(1.0 + 2.0 * bend / width) - bend + log_envelope)
    share = bingham * (here + there) / (1.0 + xp.exp(-a / 2.0))
    accepted = u[:, dimension + 1 : dimension + 2] < share
    behind = u[:, dimension + 2 :] * (here + there) > here
    return xp.where(behind, -points, points), accepted[:, 0]


@lru_cache(maxsize=32)
def _envelope_width(law: Anisotropic, dimension: int) -> float:
    """The number b of the envelope, in (0, d].

    Every b in this range is an envelope. The tightest one solves sum_k 1 / (b + 2 e_k) = 1 for the
    eigenvalues e_k of B. One of them is 0, and the others are about c_k / 2 without the least.
    """
    others = law.concentrations(dimension)[1:]
    low, high = 0.0, float(dimension)
    for _ in range(60):
        middle = (low + high) / 2.0
        if 1.0 / middle + float((1.0 / (middle + others)).sum()) > 1.0:
            low = middle
        else:
            high = middle
    return high
