r"""InfoNCE, the contrastive loss of the theory, and its symmetric form.

With similarity s, temperature t and M negatives u_i of each anchor u = f(x), v = f(x~),

    L = E[ -s(u, v) / t + log( exp(s(u, v) / t) + sum_i exp(s(u, u_i) / t) ) ].

The similarity defines the conditional that the model assumes. The dot product assumes von
Mises-Fisher; -|u - v|^p assumes Laplace (p = 1), Normal (p = 2) or generalised normal (p = 3). As
M grows, L - log M decreases to the sum of alignment and uniformity,

    E[ -s(u, v) / t ] + E_u log( mean_i exp(s(u, u_i) / t) ).

Negatives are the other anchors of the batch, or codes that the caller passes. Codes of lower
precision than float32 are compared in float32. No tensor of all pairs is created: see
:mod:`benchmark.losses.blocks`.

References:
    Representation Learning with Contrastive Predictive Coding, van den Oord, Li, Vinyals, 2018,
    https://arxiv.org/abs/1807.03748
    Understanding Contrastive Representation Learning through Alignment and Uniformity on the
    Hypersphere, Wang, Isola, 2020, https://arxiv.org/abs/2005.10242
    A Simple Framework for Contrastive Learning of Visual Representations, Chen, Kornblith,
    Norouzi, Hinton, 2020, https://arxiv.org/abs/2002.05709
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from benchmark.losses.blocks import Curve, log_sum_exp, row_sums
from benchmark.losses.checks import check_codes, check_first, check_similarity, check_temperature
from benchmark.losses.similarities import Similarity

# above this x, softplus(x) = x, also in float64; exp(x) still fits into float32
_SURELY_LINEAR = 60.0


class Terms(NamedTuple):
    """InfoNCE with M negatives, and its two terms: alignment and uniformity.

    For every M, loss - log M exceeds the sum of the two terms by E log(1 + e). Here e is the
    ratio of exp(s(u, v) / t) to the sum of exp(s(u, u_i) / t) over the negatives. The difference
    vanishes as M grows.

    Arguments:
        loss: InfoNCE, a scalar.
        alignment: E[-s(u, v) / t], a scalar.
        uniformity: E_u log( mean_i exp(s(u, u_i) / t) ) over the negatives u_i of u, a scalar.
    """

    loss: Tensor
    alignment: Tensor
    uniformity: Tensor


def info_nce(
    anchors: Tensor,
    positives: Tensor,
    similarity: Similarity,
    temperature: float = 1.0,
    negatives: Tensor | None = None,
    *,
    first: int | None = None,
) -> Tensor:
    """The loss of :func:`info_nce_terms`, with the same arguments and errors."""
    return info_nce_terms(anchors, positives, similarity, temperature, negatives, first=first).loss


def info_nce_terms(
    anchors: Tensor,
    positives: Tensor,
    similarity: Similarity,
    temperature: float = 1.0,
    negatives: Tensor | None = None,
    *,
    first: int | None = None,
) -> Terms:
    """InfoNCE with the other anchors of the batch, or given codes, as negatives.

    Second derivatives raise RuntimeError.

    Arguments:
        anchors: codes u, shape (B, n). B must be at least 2 if no negatives are given.
        positives: codes v, shape (B, n).
        similarity: similarity of two codes.
        temperature: positive number that divides the similarities.
        negatives: codes that all anchors share as negatives, shape (M, n); None for the anchors.
        first: row number. Row ``first + i`` of the negatives is anchor i, and is not used as a
            negative of anchor i. On several ranks, each rank gathers the anchors of all ranks
            with gradients and passes them as negatives, and passes the row of its own first
            anchor here. The mean of the losses of the ranks is then the loss of the whole batch.

    Returns:
        Means over the batch; float64 if anchors or positives are float64, else float32.

    Raises:
        ValueError: shapes or types do not fit, ``similarity`` is not a similarity, the
            temperature is not positive, or ``first`` is given without negatives or out of range.
    """
    if not (negatives is None or isinstance(negatives, Tensor)):
        raise ValueError(
            f"negatives: expected one tensor (M, n), found {type(negatives).__name__}; "
            "concatenate them"
        )
    given = None if negatives is None else (negatives,)
    return _terms((anchors, positives), 1, similarity, temperature, given, first)


def symmetric_info_nce(
    anchors: Tensor,
    positives: Tensor,
    similarity: Similarity,
    temperature: float = 1.0,
    negatives: tuple[Tensor, Tensor] | None = None,
    *,
    first: int | None = None,
) -> Tensor:
    """The loss of :func:`symmetric_terms`, with the same arguments and errors."""
    return symmetric_terms(
        anchors, positives, similarity, temperature, negatives, first=first
    ).loss


def symmetric_terms(
    anchors: Tensor,
    positives: Tensor,
    similarity: Similarity,
    temperature: float = 1.0,
    negatives: tuple[Tensor, Tensor] | None = None,
    *,
    first: int | None = None,
) -> Terms:
    """InfoNCE with both views as anchors: NT-Xent of SimCLR, for any similarity.

    Each of the 2B views is an anchor once, and once the positive of the other view of its pair.
    The negatives of a view are the 2B - 2 views of the other pairs. Second derivatives raise
    RuntimeError.

    Arguments:
        anchors: codes of the first views, shape (B, n). B must be at least 2 if no negatives are
            given.
        positives: codes of the second views, shape (B, n).
        similarity: similarity of two codes.
        temperature: positive number that divides the similarities.
        negatives: first and second views, shape (M, n) each, which are 2M negatives that all
            anchors share; None for the views of the batch.
        first: row number. Rows ``first + i`` of both tensors are pair i, and are not used as
            negatives of pair i. On several ranks, each rank gathers the anchors and the
            positives of all ranks with gradients and passes both as negatives, and passes the
            row of its own first pair here. The mean of the losses of the ranks is then the loss
            of the whole batch.

    Returns:
        Means over the 2B views; float64 if anchors or positives are float64, else float32.

    Raises:
        ValueError: for the same reasons as :func:`info_nce_terms`.
    """
    if isinstance(negatives, Tensor) or (negatives is not None and len(negatives) != 2):
        raise ValueError(
            "negatives: expected a pair of tensors, of first views and of second views, found "
            f"{type(negatives).__name__}; give (all anchors, all positives)"
        )
    return _terms((anchors, positives), 2, similarity, temperature, negatives, first)


def _terms(
    views: tuple[Tensor, Tensor],
    anchors: int,
    similarity: Similarity,
    temperature: float,
    negatives: tuple[Tensor, ...] | None,
    first: int | None,
) -> Terms:
    return terms_of(compare(views, anchors, similarity, temperature, negatives, first))


@dataclass(frozen=True, eq=False)
class Comparison:
    """Prepared codes of pairs and of negatives, for losses of their similarities.

    Arguments:
        views: codes of first and second views, shape (B, n) each.
        anchors: number of views that are anchors, 1 or 2. A below is that number times B.
        others: codes of all negatives, shape (M, n).
        skipped: numbers m. For each m, row m + i of ``others`` is no negative of row i.
        similarity: the similarity s.
        temperature: the temperature t.
    """

    views: tuple[Tensor, Tensor]
    anchors: int
    others: Tensor
    skipped: tuple[int, ...]
    similarity: Similarity
    temperature: float

    @property
    def count(self) -> int:
        """Number of negatives of each anchor."""
        return len(self.others) - len(self.skipped)

    def alike(self) -> Tensor:
        """Similarity s / t of each anchor and its positive, shape (A,)."""
        found = self.similarity.paired(*self.views).div(self.temperature)
        return found.repeat(self.anchors)

    def crowd(self) -> Tensor:
        """Log-sum-exp of the similarities of each anchor to its negatives, shape (A,)."""
        found = [
            log_sum_exp(codes, self.others, self.similarity, self.temperature, self.skipped)
            for codes in self.views[: self.anchors]
        ]
        return torch.cat(found)

    def sums(self, curve: Curve, offset: Tensor) -> Tensor:
        """Sums of a curve of s / t + ``offset`` over the negatives of each anchor, shape (A,)."""
        found = [
            row_sums(
                codes, self.others, self.similarity, self.temperature, self.skipped, curve, offset
            )
            for codes in self.views[: self.anchors]
        ]
        return torch.cat(found)


def compare(
    views: tuple[Tensor, Tensor],
    anchors: int,
    similarity: Similarity,
    temperature: float,
    negatives: tuple[Tensor, ...] | None,
    first: int | None,
) -> Comparison:
    """The comparison of the first view or of both views with their positives and negatives.

    Without given negatives, the anchors are negatives of each other.

    Arguments:
        views: codes of first and second views, shape (B, n) each.
        anchors: number of views that are anchors, 1 or 2.
        similarity: similarity of two codes.
        temperature: positive number that divides the similarities.
        negatives: one tensor for each view that is an anchor, shape (M, n) each, or None.
        first: row of the first anchor or pair in the negatives, or None.

    Raises:
        ValueError: for the same reasons as :func:`info_nce_terms`.
    """
    check_similarity(similarity)
    check_temperature(temperature)
    check_codes(*views, negatives or ())
    check_first(first, len(views[0]), negatives)
    dtype = reduce(torch.promote_types, (c.dtype for c in views), torch.float32)
    with torch.autocast(views[0].device.type, enabled=False):
        u, v = (similarity.prepare(codes.to(dtype)) for codes in views)
        if negatives is None:
            pool, first = (u, v)[:anchors], 0
        else:
            pool = tuple(similarity.prepare(codes.to(dtype)) for codes in negatives)
        skipped = () if first is None else tuple(first + k * len(pool[0]) for k in range(anchors))
        others = torch.cat(pool)
    return Comparison((u, v), anchors, others, skipped, similarity, temperature)


def terms_of(compared: Comparison) -> Terms:
    """InfoNCE and its terms for compared codes."""
    with torch.autocast(compared.others.device.type, enabled=False):
        crowd, alike = compared.crowd(), compared.alike()
        loss = softplus(crowd - alike, threshold=_SURELY_LINEAR).mean()
        return Terms(loss, -alike.mean(), crowd.mean() - math.log(compared.count))
