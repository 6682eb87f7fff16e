r"""InfoNCE, the contrastive loss of the theory, and its symmetric form.

With similarity s, temperature t and M negatives u_i of each anchor u = f(x), v = f(x~),

    L = E[ -s(u, v) / t + log( exp(s(u, v) / t) + sum_i exp(s(u, u_i) / t) ) ].

The similarity states which conditional the model assumes: the dot product von Mises-Fisher,
-|u - v|^p Laplace (p = 1), Normal (p = 2) or generalised normal (p = 3). As M grows, L - log M
falls to the sum of alignment and uniformity,

    E[ -s(u, v) / t ] + E_u log( mean_i exp(s(u, u_i) / t) ).

Negatives are the other anchors of the batch, or what is given. Codes of less than float32 are
compared in float32. No tensor of all pairs exists: see :mod:`benchmark.losses.blocks`.

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
import re
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from benchmark.losses.blocks import log_sum_exp
from benchmark.losses.similarities import Similarity
from threedident.runtime.errors import nearest

_SURELY_LINEAR = 60.0  # softplus(x) = x beyond, in float64 too; exp of it fits float32
_METHODS = ("parameters", "prepare", "paired", "crossed", "pull")
_NAMED = {
    "dot": "DotSimilarity()",
    "cosine": "CosineSimilarity()",
    "DotSimilarity": "DotSimilarity()",
    "CosineSimilarity": "CosineSimilarity()",
    "LpSimilarity": "LpSimilarity(2)",
}
_POWER = re.compile(r"l(\d+(?:\.\d+)?)")


class Terms(NamedTuple):
    """InfoNCE with M negatives, and the two terms to whose sum loss - log M falls.

    At any M, loss - log M exceeds that sum by E log(1 + e), with e the ratio of exp(s(u, v) / t)
    to the sum of exp(s(u, u_i) / t) over the negatives.

    Arguments:
        loss: InfoNCE, a scalar.
        alignment: E[-s(u, v) / t], a scalar.
        uniformity: E_u log of the mean over its negatives of exp(s(u, u_i) / t), a scalar.
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
    """The loss of :func:`info_nce_terms`, which see."""
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
        anchors: codes u, shape (B, n) with B >= 2 where no negatives are given.
        positives: codes v, shape (B, n).
        similarity: similarity of two codes.
        temperature: divides similarities, positive.
        negatives: shape (M, n), shared by all anchors; the anchors themselves where None.
        first: row first + i of the negatives is anchor i, and no negative of it. Ranks that
            gather all anchors, with gradients, give them as negatives, and the row of their own
            first anchor here: the mean of their losses is then the loss of the whole batch.

    Returns:
        Means over the batch, float32, or float64 where anchors or positives are.

    Raises:
        ValueError: shapes or types that do not fit, no similarity, a temperature that is not
            positive, or ``first`` without negatives or out of their range.
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
    """The loss of :func:`symmetric_terms`, which see."""
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
    """InfoNCE with both views as anchors: SimCLR's NT-Xent, for any similarity.

    Each of the 2B views is the anchor once and the positive of its other view once; its
    negatives are the 2B - 2 views of the other pairs. Second derivatives raise RuntimeError.

    Arguments:
        anchors: codes of the first views, shape (B, n) with B >= 2 where no negatives are given.
        positives: codes of the second views, shape (B, n).
        similarity: similarity of two codes.
        temperature: divides similarities, positive.
        negatives: first and second views, shape (M, n) each, 2M negatives shared by all; the
            batch's own views where None.
        first: rows first + i of both are pair i, and no negatives of it. Ranks that gather all
            anchors and all positives, with gradients, give both as negatives, and the row of
            their own first pair here: the mean of their losses is the loss of the whole batch.

    Returns:
        Means over the 2B views, float32, or float64 where anchors or positives are.

    Raises:
        ValueError: as :func:`info_nce_terms` does.
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
    """InfoNCE with the first, or both, of two views as anchors, and as negatives of each other."""
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
        crowd = torch.cat(
            [
                log_sum_exp(codes, others, similarity, temperature, skipped)
                for codes in (u, v)[:anchors]
            ]
        )
        alike = similarity.paired(u, v).div(temperature).repeat(anchors)
        loss = softplus(crowd - alike, threshold=_SURELY_LINEAR).mean()
        return Terms(loss, -alike.mean(), crowd.mean() - math.log(len(others) - len(skipped)))


def check_similarity(similarity: object) -> None:
    """Refuse what is no similarity, such as the name of one.

    Raises:
        ValueError: it is none; the message names the fix.
    """
    is_class = isinstance(similarity, type)
    if not is_class and all(callable(getattr(similarity, name, None)) for name in _METHODS):
        return
    name = similarity if isinstance(similarity, str) else ""
    power, near = _POWER.fullmatch(name.lower()), nearest(name, _NAMED)
    found = f"the class {similarity.__name__}" if is_class else repr(similarity)  # type: ignore[attr-defined]
    if is_class:
        fix = "an instance"
    elif power is not None:
        fix = f"LpSimilarity({power[1]})"
    else:
        fix = "one such as LpSimilarity(2) or DotSimilarity()" if near is None else _NAMED[near]
    raise ValueError(f"similarity: expected a Similarity, found {found}; give {fix}")


def check_temperature(temperature: float) -> None:
    """Refuse what is no positive number.

    Raises:
        ValueError: it is none.
    """
    if isinstance(temperature, Tensor) and temperature.requires_grad:
        raise ValueError(
            "temperature: expected a number, found a tensor that wants a gradient, which flows to "
            "codes and scales alone; learn the radius of a sphere or the scales of LpSimilarity"
        )
    if not 0 < temperature < math.inf:
        raise ValueError(
            f"temperature: expected a positive number, found {temperature}; use 1 to leave "
            "similarities as they are"
        )


def check_codes(anchors: Tensor, positives: Tensor, negatives: tuple[Tensor, ...]) -> None:
    """Refuse codes of other shapes than (B, n), (B, n) and (M, n), or that are no numbers.

    Raises:
        ValueError: they are.
    """
    for codes in (anchors, positives, *negatives):
        if not isinstance(codes, Tensor):
            raise ValueError(
                f"codes: expected tensors of shape (B, n), found {type(codes).__name__}; convert "
                "them with torch.as_tensor"
            )
    if anchors.ndim != 2 or anchors.shape != positives.shape or 0 in anchors.shape:
        raise ValueError(
            f"anchors and positives: expected one shape (B, n), found {tuple(anchors.shape)} and "
            f"{tuple(positives.shape)}; give one row of codes for each member of each pair"
        )
    n, shapes = anchors.shape[1], {tuple(codes.shape) for codes in negatives}
    if (
        any(len(shape) != 2 or shape[1] != n or shape[0] == 0 for shape in shapes)
        or len(shapes) > 1
    ):
        raise ValueError(
            f"negatives: expected shape (M, {n}), found {' and '.join(map(str, sorted(shapes)))}; "
            "give codes of the same encoder"
        )
    for codes in (anchors, positives, *negatives):
        if not codes.is_floating_point() or codes.device != anchors.device:
            raise ValueError(
                f"codes: expected floating-point numbers on {anchors.device}, found {codes.dtype} "
                f"on {codes.device}; convert or move them"
            )


def check_first(first: int | None, anchors: int, negatives: tuple[Tensor, ...] | None) -> None:
    """Refuse a place of ``anchors`` anchors that is none among the negatives.

    Raises:
        ValueError: it is none, or there are too few anchors to be negatives of each other.
    """
    if negatives is None and first is not None:
        raise ValueError(
            f"first: expected None without negatives, found {first}; give the negatives, too"
        )
    if negatives is None and anchors < 2:
        raise ValueError(
            f"anchors: expected at least 2 where no negatives are given, found {anchors}; take a "
            "larger batch, or give negatives"
        )
    if negatives is None or first is None:
        return
    rows = len(negatives[0])
    if rows < 2 or not 0 <= first <= rows - anchors:
        raise ValueError(
            f"first: expected {anchors} anchors from it on among at least 2 rows of negatives, "
            f"found {first} and {rows} rows; give the row of the first anchor among all gathered"
        )
