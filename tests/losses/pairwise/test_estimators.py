"""Estimators of one critic, against sums over all pairs, and in their limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.losses import info_nce
from benchmark.losses.catalogue import ESTIMATORS
from benchmark.losses.pairwise.decoupled import Decoupled
from benchmark.losses.pairwise.info_nce import InfoNCE
from benchmark.losses.similarities import LpSimilarity
from benchmark.losses.views import Views
from tests.losses.codes_and_sums import codes

Crossed = tuple[Tensor, Tensor, Tensor]  # s(u, v) of A anchors, s(u, w), and which w count


def crossed(u: Tensor, v: Tensor, critic: Callable[[Tensor, Tensor], Tensor], both: bool) -> Any:
    """Similarities of anchors with positives, with all others, and which others are negatives."""
    anchors = torch.cat([u, v]) if both else u
    others = anchors
    alike = torch.stack([critic(a, b) for a, b in zip(u, v, strict=True)])
    scores = torch.stack([torch.stack([critic(a, w) for w in others]) for a in anchors])
    mask = ~torch.eye(len(anchors), dtype=torch.bool)
    if both:
        mask &= ~torch.eye(len(u), dtype=torch.bool).repeat(2, 2)
        alike = alike.repeat(2)
    return alike, scores, mask


def decoupled(alike: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
    return (scores.masked_fill(~mask, -math.inf).logsumexp(1) - alike).mean()


def contrast(alike: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
    among = torch.cat([alike[:, None], scores.masked_fill(~mask, -math.inf)], 1)
    return (among.logsumexp(1) - alike).mean()


FORMS: dict[str, Callable[..., Tensor]] = {"info-nce": contrast, "decoupled": decoupled}
SIMILARITIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "dot": torch.dot,
    "cosine": lambda a, b: torch.dot(a, b) / a.norm() / b.norm(),
    "l1": lambda a, b: -(a - b).abs().sum(),
    "l2": lambda a, b: -(a - b).square().sum(),
    "l1.5": lambda a, b: -(a - b).abs().pow(1.5).sum(),
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("both", [False, True])
def test_value_and_gradient_are_those_of_the_definition(
    name: str, similarity: str, both: bool
) -> None:
    loss = ESTIMATORS[name](3, similarity=similarity, temperature=0.7, symmetric=both).double()
    views = codes(6, 6)
    found = loss(Views(codes=views[0], positives=views[1]))["loss"]

    def critic(a: Tensor, b: Tensor) -> Tensor:
        return SIMILARITIES[similarity](a, b) / 0.7

    expected = FORMS[name](*crossed(*views, critic, both))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, views), torch.autograd.grad(expected, views)
    )


@pytest.mark.parametrize("similarity", ["dot", "l2"])
def test_the_decoupled_loss_is_the_limit_of_info_nce(similarity: str) -> None:
    gaps = []
    for size in (64, 256, 1024):
        u = torch.nn.functional.normalize(torch.randn(size, 3, dtype=torch.float64), dim=1)
        v = torch.nn.functional.normalize(u + 0.3 * torch.randn_like(u), dim=1)
        views = Views(codes=u, positives=v)
        gap = InfoNCE(3, similarity)(views)["loss"] - Decoupled(3, similarity)(views)["loss"]
        gaps.append(size * gap.item())
    assert min(gaps) > 0
    assert max(gaps) / min(gaps) < 1.5  # it falls as one over the negatives


def test_learned_scales_weigh_every_estimator() -> None:
    u, v = codes(5, 5)
    for make in ESTIMATORS.values():
        loss = make(3, similarity="l2", learned_scales=True).double()
        with torch.no_grad():
            loss.log_scales.copy_(torch.tensor([0.0, 1.0, -1.0]))
        plain = make(3, similarity="l2").double()
        stretch = (0.5 * loss.log_scales).exp()
        found = loss(Views(codes=u, positives=v))["loss"]
        expected = plain(Views(codes=stretch * u, positives=stretch * v))["loss"]
        torch.testing.assert_close(found, expected)
        found.backward()
        assert (loss.log_scales.grad != 0).all()


def test_critics_refuse_what_they_cannot_compare() -> None:
    with pytest.raises(ValueError, match="similarity: expected one of l1, l2, l3, dot, cosine"):
        InfoNCE(3, "l0")
    with pytest.raises(ValueError, match="learned_scales: expected with a similarity such as l2"):
        InfoNCE(3, "dot", learned_scales=True)
    with pytest.raises(ValueError, match="views: expected codes of positives, found none"):
        InfoNCE(3)(Views(codes=torch.rand(4, 3)))


def test_the_module_is_the_public_function() -> None:
    u, v = codes(7, 7)
    found = InfoNCE(3, "l3", 0.5)(Views(codes=u, positives=v))["loss"]
    assert found.item() == info_nce(u, v, LpSimilarity(3), 0.5).item()
