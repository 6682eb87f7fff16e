r"""Similarities of codes, for given pairs and for blocks of all pairs.

References:
    InfoNCE: Identifying the Gap Between Theory and Practice, Rusak, Reizinger, Juhos, Bringmann,
    Zimmermann, Brendel, 2024, https://arxiv.org/abs/2407.00143
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import normalize

from threedident.runtime.arrays import fails

_LP = re.compile(r"l(\d+(\.\d+)?)")


def parse_similarity(
    name: str, scales: Tensor | None = None, sphere: int = 1
) -> Similarity | None:
    """The similarity of a name; None if no similarity has this name.

    Arguments:
        name: ``dot``, ``cosine``, or ``l`` and an exponent p >= 1, for example ``l1.5``; or two
            of them with a plus, such as ``l2+dot``, for codes in a box and codes on a sphere.
        scales: weights of the coordinates for ``lP``, one for each.
        sphere: number of the last codes, which the second similarity of a sum compares.
    """
    flat, plus, angular = name.partition("+")
    if plus:
        first, second = parse_similarity(flat, scales), _ANGULAR.get(angular)
        if not isinstance(first, LpSimilarity) or second is None:
            return None
        return SumSimilarity(first, second, sphere)
    p = exponent(name)
    return _ANGULAR.get(name) if p is None else LpSimilarity(p, scales)


def is_sum(name: str) -> bool:
    """True if a name is that of the sum of two similarities."""
    return isinstance(parse_similarity(name), SumSimilarity)


def exponent(name: str) -> float | None:
    """The exponent p of a name ``lP``; None for other names."""
    power = _LP.fullmatch(name)
    return float(power[1]) if power is not None and float(power[1]) >= 1 else None


@dataclass(frozen=True)
class DotSimilarity:
    """The inner product u . v."""

    def parameters(self) -> tuple[Tensor, ...]:
        """An empty tuple; there are no parameters."""
        return ()

    def prepare(self, codes: Tensor) -> Tensor:
        """The codes, unchanged."""
        return codes

    def paired(self, u: Tensor, v: Tensor) -> Tensor:
        """See :class:`~benchmark.losses.similarities.Similarity`."""
        return (u * v).sum(dim=-1)

    def crossed(self, u: Tensor, w: Tensor) -> Tensor:
        """See :class:`~benchmark.losses.similarities.Similarity`."""
        return u @ w.T

    def pull(self, u: Tensor, w: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
        """See :class:`~benchmark.losses.similarities.Similarity`."""
        return weights @ w, (u.T @ weights).T


@dataclass(frozen=True)
class CosineSimilarity(DotSimilarity):
    """The cosine of the angle between u and v; 0 if one of the codes is 0."""

    def prepare(self, codes: Tensor) -> Tensor:
        """Codes divided by their norms."""
        return normalize(codes, dim=-1)


@dataclass(frozen=True, eq=False)
class LpSimilarity:
    """The negative weighted p-th power of a p-norm, -sum_k s_k |u_k - v_k|^p.

    It is computed from differences, so codes far from 0 lose no digits by cancellation.

    Arguments:
        p: exponent, finite, at least 1.
        scales: weights s, shape (n,), positive, on the device of the codes; None for weights
            of 1. They may be learned: gradients flow to them.

    Raises:
        ValueError: p is below 1 or not finite, or scales are not positive and finite.
    """

    p: float
    scales: Tensor | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.p < math.inf:
            raise ValueError(
                f"p: expected a finite number of at least 1, found {self.p}; use 1 for Laplace, "
                "2 for Normal conditionals"
            )
        if self.scales is not None:
            self._check_scales(self.scales, self.scales.numel())

    def parameters(self) -> tuple[Tensor, ...]:
        """The scales, if given, else an empty tuple."""
        return () if self.scales is None else (self.scales,)

    def prepare(self, codes: Tensor) -> Tensor:
        """The codes, unchanged.

        Raises:
            ValueError: the number of scales is not the number of coordinates, or a scale is not
                positive and finite.
        """
        if self.scales is not None:
            self._check_scales(self.scales, codes.shape[1])
        return codes

    def paired(self, u: Tensor, v: Tensor) -> Tensor:
        """See :class:`~benchmark.losses.similarities.Similarity`."""
        powers = (u - v).abs().pow(self.p)
        if self.scales is not None:
            powers = powers * self.scales.to(u.dtype)
        return -powers.sum(dim=-1)

    def crossed(self, u: Tensor, w: Tensor) -> Tensor:
        """See :class:`~benchmark.losses.similarities.Similarity`."""
        total = u.new_zeros(len(u), len(w))
        for k, step, slope in self._slopes(u, w):
            if self.scales is not None:
                step.mul_(self.scales[k])
            total.addcmul_(slope, step, value=-1)
        return total

    def pull(self, u: Tensor, w: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
        """See :class:`~benchmark.losses.similarities.Similarity`."""
        from_u, from_w = u.new_empty(u.T.shape), w.new_empty(w.T.shape)
        from_scales = [torch.empty_like(scales) for scales in self.parameters()]
        for k, step, slope in self._slopes(u, w):
            slope.mul_(weights)
            from_u[k], from_w[k] = slope.sum(dim=1), slope.sum(dim=0)
            for found in from_scales:
                found[k] = -slope.mul_(step).sum()
        factor = self.p * (1.0 if self.scales is None else self.scales.to(u.dtype)[:, None])
        return from_u.mul_(-factor).T, from_w.mul_(factor).T, *from_scales

    def _slopes(self, u: Tensor, w: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
        """For each coordinate k: k, the differences x = u_k - w_k, and |x|^(p - 1) sign(x).

        The last tensor equals |x|^p / x, and also the derivative of |x|^p divided by p. Both
        tensors have the shape (R, M). The caller may overwrite them: the next step fills them
        again.
        """
        step, slope = u.new_empty(2, len(u), len(w))
        for k in range(u.shape[1]):
            torch.sub(u[:, k, None], w[:, k], out=step)
            if self.p == 1:
                torch.sign(step, out=slope)
            elif self.p == 2:
                slope.copy_(step)
            elif self.p == 3:
                torch.abs(step, out=slope).mul_(step)
            else:
                torch.abs(step, out=slope).pow_(self.p - 1).copysign_(step)
            yield k, step, slope

    def _check_scales(self, scales: Tensor, n: int) -> None:
        if scales.shape != (n,):
            raise ValueError(
                f"scales: expected shape ({n},), found {tuple(scales.shape)}; give one for each "
                "coordinate"
            )
        if fails((scales > 0) & (scales < math.inf)):
            raise ValueError(
                f"scales: expected positive, finite numbers, found {scales.tolist()}; learn their "
                "logarithms, and give the exponentials"
            )


@dataclass(frozen=True, eq=False)
class SumSimilarity:
    """The sum of two similarities: one of the first codes, and one of the last.

    It models latents of which some lie in a box and the others on a sphere.

    Arguments:
        flat: similarity of the first n - ``sphere`` codes.
        angular: similarity of the last codes.
        sphere: number of the last codes, at least 1.
    """

    flat: LpSimilarity
    angular: DotSimilarity
    sphere: int

    def parameters(self) -> tuple[Tensor, ...]:
        """Those of the first similarity; the second one has none."""
        return self.flat.parameters()

    def prepare(self, codes: Tensor) -> Tensor:
        """The codes in the forms of both similarities.

        Raises:
            ValueError: there are too few codes, or the scales do not fit the first ones.
        """
        if codes.shape[1] <= self.sphere:
            raise ValueError(
                f"codes: expected more than the {self.sphere} on the sphere, found "
                f"{codes.shape[1]}; take the similarity of the sphere alone"
            )
        first, last = self._parts(codes)
        return torch.cat([self.flat.prepare(first), self.angular.prepare(last)], dim=1)

    def paired(self, u: Tensor, v: Tensor) -> Tensor:
        """See :class:`~benchmark.losses.similarities.Similarity`."""
        (u1, u2), (v1, v2) = self._parts(u), self._parts(v)
        return self.flat.paired(u1, v1) + self.angular.paired(u2, v2)

    def crossed(self, u: Tensor, w: Tensor) -> Tensor:
        """See :class:`~benchmark.losses.similarities.Similarity`."""
        (u1, u2), (w1, w2) = self._parts(u), self._parts(w)
        return self.flat.crossed(u1, w1).add_(self.angular.crossed(u2, w2))

    def pull(self, u: Tensor, w: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
        """See :class:`~benchmark.losses.similarities.Similarity`."""
        (u1, u2), (w1, w2) = self._parts(u), self._parts(w)
        from_u1, from_w1, *from_scales = self.flat.pull(u1, w1, weights)
        from_u2, from_w2 = self.angular.pull(u2, w2, weights)
        from_u, from_w = torch.cat([from_u1, from_u2], 1), torch.cat([from_w1, from_w2], 1)
        return from_u, from_w, *from_scales

    def _parts(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        return codes[:, : -self.sphere], codes[:, -self.sphere :]


_ANGULAR: dict[str, DotSimilarity] = {"dot": DotSimilarity(), "cosine": CosineSimilarity()}


class Similarity(Protocol):
    """A symmetric similarity s of two codes."""

    def parameters(self) -> tuple[Tensor, ...]:
        """Tensors that s depends on. Gradients flow to them."""
        ...

    def prepare(self, codes: Tensor) -> Tensor:
        """Codes in the form that the methods below expect, shape (B, n).

        Autograd must be able to record the operations.

        Arguments:
            codes: shape (B, n).

        Raises:
            ValueError: the similarity is not defined for codes of n coordinates.
        """
        ...

    def paired(self, u: Tensor, v: Tensor) -> Tensor:
        """Similarity of each row of u (B, n) with the same row of v (B, n), shape (B,)."""
        ...

    def crossed(self, u: Tensor, w: Tensor) -> Tensor:
        """Similarity of every row of u (R, n) with every row of w (M, n), a new (R, M) tensor."""
        ...

    def pull(self, u: Tensor, w: Tensor, weights: Tensor) -> tuple[Tensor, ...]:
        """Gradients of sum_ij weights_ij s(u_i, w_j).

        Arguments:
            u: codes, shape (R, n).
            w: codes, shape (M, n).
            weights: weight of each pair, shape (R, M).

        Returns:
            The gradients with respect to u, w and each parameter, each with the shape of its
            tensor.
        """
        ...
