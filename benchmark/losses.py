r"""Similarities and InfoNCE, the contrastive loss of the theory.

With similarity s, temperature t and the other anchors of a batch as negatives,

    L = E[ -s(u, v) / t + log( exp(s(u, v) / t) + sum_i exp(s(u, u_i) / t) ) ]

where u = f(x), v = f(x~) and u_i runs over the batch without u itself. The similarity states
which conditional the model assumes: the dot product von Mises-Fisher, -|u - v|^p Laplace
(p = 1), Normal (p = 2) or generalised normal (p = 3).

References:
    Representation Learning with Contrastive Predictive Coding, van den Oord, Li, Vinyals, 2018,
    https://arxiv.org/abs/1807.03748
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Similarity(Protocol):
    """A similarity of codes."""

    def paired(self, u: Tensor, v: Tensor) -> Tensor:
        """Similarity of each row of u (B, n) with the same row of v (B, n), shape (B,)."""
        ...

    def crossed(self, u: Tensor, v: Tensor) -> Tensor:
        """Similarity of every row of u (B, n) with every row of v (M, n), shape (B, M)."""
        ...


@dataclass(frozen=True)
class DotSimilarity:
    """The inner product u . v."""

    def paired(self, u: Tensor, v: Tensor) -> Tensor:
        """See :class:`Similarity`."""
        return (u * v).sum(dim=-1)

    def crossed(self, u: Tensor, v: Tensor) -> Tensor:
        """See :class:`Similarity`."""
        return u @ v.T


@dataclass(frozen=True)
class LpSimilarity:
    """The negative p-th power of the p-norm, -sum_k |u_k - v_k|^p, for p >= 1."""

    p: float

    def __post_init__(self) -> None:
        if not self.p >= 1:
            raise ValueError(f"p: expected a number of at least 1, found {self.p}")

    def paired(self, u: Tensor, v: Tensor) -> Tensor:
        """See :class:`Similarity`."""
        return -(u - v).abs().pow(self.p).sum(dim=-1)

    def crossed(self, u: Tensor, v: Tensor) -> Tensor:
        """See :class:`Similarity`; computed from differences, so nothing cancels."""
        return self.paired(u[:, None], v[None])


def info_nce(
    anchors: Tensor, positives: Tensor, similarity: Similarity, temperature: float = 1.0
) -> Tensor:
    """InfoNCE with the other anchors of the batch as negatives.

    Arguments:
        anchors: codes u, shape (B, n) with B >= 2.
        positives: codes v, shape (B, n).
        similarity: similarity of two codes.
        temperature: divides similarities, positive.

    Returns:
        The mean over the batch, a scalar.

    Raises:
        ValueError: shapes that do not fit, or a temperature that is not positive.
    """
    if anchors.ndim != 2 or anchors.shape != positives.shape or len(anchors) < 2:
        raise ValueError(
            "anchors and positives: expected one shape (B, n) with B >= 2, found "
            f"{tuple(anchors.shape)} and {tuple(positives.shape)}"
        )
    if not temperature > 0:
        raise ValueError(f"temperature: expected a positive number, found {temperature}")
    alike = similarity.paired(anchors, positives) / temperature
    others = similarity.crossed(anchors, anchors) / temperature
    itself = torch.eye(len(anchors), dtype=torch.bool, device=anchors.device)
    others = others.masked_fill(itself, -torch.inf)
    normaliser = torch.logsumexp(torch.cat([alike[:, None], others], dim=1), dim=1)
    return (normaliser - alike).mean()
