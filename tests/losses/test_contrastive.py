"""InfoNCE, its terms and gradients, against sums over all pairs."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from benchmark.losses import (
    CosineSimilarity,
    DotSimilarity,
    LpSimilarity,
    Similarity,
    info_nce,
    info_nce_terms,
    symmetric_info_nce,
)
from benchmark.losses import blocks as pairwise
from tests.losses.codes_and_sums import codes

SCALES = torch.tensor([0.3, 1.7, 0.9], dtype=torch.float64)
SIMILARITIES: list[Similarity] = [
    DotSimilarity(),
    CosineSimilarity(),
    *map(LpSimilarity, (1, 1.5, 2, 3, 4.5)),
    *(LpSimilarity(p, SCALES) for p in (1, 1.5, 2, 3)),
]


each_similarity = pytest.mark.parametrize("similarity", SIMILARITIES, ids=str)


def compare(a: Tensor, b: Tensor, similarity: Similarity) -> Tensor:
    """The similarity of two codes, written out."""
    if isinstance(similarity, CosineSimilarity):
        return torch.dot(a, b) / (a.norm() * b.norm())
    if isinstance(similarity, DotSimilarity):
        return torch.dot(a, b)
    assert isinstance(similarity, LpSimilarity)
    powers = (a - b).abs() ** similarity.p
    return -(powers if similarity.scales is None else similarity.scales * powers).sum()


def brute_force(
    u: Tensor,
    v: Tensor,
    similarity: Similarity,
    temperature: float = 1.0,
    negatives: Tensor | None = None,
    *,
    first: int | None = None,
) -> Tensor:
    """The definition, one anchor at a time."""
    if negatives is None:
        negatives, first = u, 0
    losses = []
    for i, (anchor, positive) in enumerate(zip(u, v, strict=True)):
        alike = compare(anchor, positive, similarity) / temperature
        others = [
            compare(anchor, other, similarity) / temperature
            for j, other in enumerate(negatives)
            if first is None or j != first + i
        ]
        losses.append(torch.stack([alike, *others]).logsumexp(0) - alike)
    return torch.stack(losses).mean()


def symmetric_brute_force(
    u: Tensor, v: Tensor, similarity: Similarity, temperature: float = 1.0
) -> Tensor:
    views, losses = torch.cat([u, v]), []
    for i, anchor in enumerate(views):
        scores = {
            j: compare(anchor, other, similarity) / temperature
            for j, other in enumerate(views)
            if j != i
        }
        partner = (i + len(u)) % len(views)
        losses.append(torch.stack(list(scores.values())).logsumexp(0) - scores[partner])
    return torch.stack(losses).mean()


def assert_same(ours: Tensor, theirs: Tensor, inputs: list[Tensor], rtol: float = 1e-10) -> None:
    assert ours.item() == pytest.approx(theirs.item(), rel=rtol, abs=rtol)
    found, expected = (
        torch.autograd.grad(loss, inputs, retain_graph=True) for loss in (ours, theirs)
    )
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a.double(), b.double(), rtol=rtol, atol=rtol)


@pytest.fixture(params=[1, 20, 10**6], ids="{} elements a block".format)
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairwise, "_CPU_ELEMENTS", request.param)


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("temperature", [0.5, 1.0])
@each_similarity
def test_value_and_gradient_are_those_of_the_definition(
    similarity: Similarity, temperature: float
) -> None:
    u, v, given = codes(7, 7, 9)
    run = partial(assert_same, inputs=[u, v])
    arguments = (u, v, similarity, temperature)
    run(info_nce(*arguments), brute_force(*arguments))
    run(symmetric_info_nce(*arguments), symmetric_brute_force(*arguments))
    assert_same(info_nce(*arguments, given), brute_force(*arguments, given), inputs=[u, v, given])


@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
def test_learned_scales_get_their_gradient(p: float) -> None:
    u, v, given = codes(6, 6, 5)
    logarithms = SCALES.log().requires_grad_()
    ways = ((info_nce, brute_force), (symmetric_info_nce, symmetric_brute_force))
    for ours, theirs in ways:
        found, expected = (
            way(u, v, LpSimilarity(p, logarithms.exp()), 0.7) for way in (ours, theirs)
        )
        assert_same(found, expected, [u, v, logarithms])
    found, expected = (
        way(u, v, LpSimilarity(p, logarithms.exp()), 0.7, given) for way in (info_nce, brute_force)
    )
    assert_same(found, expected, [u, v, given, logarithms])


@each_similarity
@pytest.mark.parametrize("first", [0, 2, 4])
def test_anchors_among_the_negatives_are_none_of_their_own(
    similarity: Similarity, first: int
) -> None:
    everyone, v = codes(9, 5)
    u = everyone[first : first + 5]
    found = info_nce(u, v, similarity, 0.5, everyone, first=first)
    expected = brute_force(u, v, similarity, 0.5, everyone, first=first)
    assert_same(found, expected, [everyone, v])


@each_similarity
def test_ranks_together_have_the_loss_of_the_whole_batch(similarity: Similarity) -> None:
    u, v = codes(8, 8)
    parts = [(u[a:b], v[a:b], a) for a, b in ((0, 4), (4, 8))]
    one = [info_nce(a, b, similarity, 0.5, u, first=row) for a, b, row in parts]
    both = [symmetric_info_nce(a, b, similarity, 0.5, (u, v), first=row) for a, b, row in parts]
    assert_same(torch.stack(one).mean(), info_nce(u, v, similarity, 0.5), [u, v])
    assert_same(torch.stack(both).mean(), symmetric_info_nce(u, v, similarity, 0.5), [u, v])


def test_given_views_are_all_negatives_of_the_symmetric_form() -> None:
    u, v, first, second = codes(4, 4, 6, 6)
    pool = torch.cat([first, second])
    similarity = LpSimilarity(1)
    found = symmetric_info_nce(u, v, similarity, negatives=(first, second))
    there, back = (brute_force(a, b, similarity, negatives=pool) for a, b in ((u, v), (v, u)))
    assert_same(found, (there + back) / 2, [u, v, first, second])


@each_similarity
def test_every_term_can_be_differentiated(similarity: Similarity) -> None:
    u, v, given = codes(5, 5, 6)
    terms = info_nce_terms(u, v, similarity, 0.8, given)
    alike = [compare(a, b, similarity) / 0.8 for a, b in zip(u, v, strict=True)]
    crowds = [torch.stack([compare(a, w, similarity) / 0.8 for w in given]) for a in u]
    assert_same(terms.alignment, -torch.stack(alike).mean(), [u, v])
    spread = torch.stack([crowd.exp().mean().log() for crowd in crowds]).mean()
    assert_same(terms.uniformity, spread, [u, given])


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("p", [None, 1, 1.2, 2, 3])
def test_identical_codes_give_log_of_the_batch_and_finite_gradients(
    p: float | None, n: int
) -> None:
    scales = torch.ones(n, requires_grad=True)
    similarity = DotSimilarity() if p is None else LpSimilarity(p, scales)
    u, v = (torch.ones(16, n, requires_grad=True) for _ in range(2))
    for loss, terms in (
        (info_nce(u, v, similarity), 16),
        (symmetric_info_nce(u, v, similarity), 31),
    ):
        assert loss.item() == pytest.approx(math.log(terms), abs=1e-5)
        for gradient in torch.autograd.grad(loss, (u, v, *similarity.parameters())):
            assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("offset", [1e4, 1e6])
@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
def test_nothing_cancels_far_from_zero_or_between_far_groups(p: float, offset: float) -> None:
    generator = torch.Generator().manual_seed(2)
    u, v = (3 * torch.randn(12, 3, generator=generator) for _ in range(2))
    u, v = u + offset, v + offset
    u[::3], v[::3] = u[::3] - 2 * offset, v[::3] - 2 * offset
    scales = torch.tensor([0.5, 1.0, 2.0])
    exact = LpSimilarity(p, scales.double())
    inputs = [x.requires_grad_() for x in (u, v)]
    found = info_nce(u, v, LpSimilarity(p, scales), 5.0)
    assert_same(found, brute_force(u.double(), v.double(), exact, 5.0), inputs, rtol=2e-5)


@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("distance", [1e4, 1e11, 1e30])
def test_negatives_out_of_reach_cost_nothing(p: float, distance: float) -> None:
    u = distance * torch.eye(8)
    v = u.clone().requires_grad_()
    loss = info_nce(u, v, LpSimilarity(p))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert v.grad is not None
    assert torch.isfinite(v.grad).all()


@each_similarity
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_codes_are_compared_in_float32(
    similarity: Similarity, kind: torch.dtype
) -> None:
    u, v = (x.detach().to(kind).requires_grad_() for x in codes(20, 20))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for ours, theirs in (
            (info_nce, brute_force),
            (symmetric_info_nce, symmetric_brute_force),
        ):
            found = ours(u, v, similarity)
            gradients = torch.autograd.grad(found, (u, v))
            with torch.autocast("cpu", enabled=False):
                expected = theirs(u.double(), v.double(), similarity)
            assert found.dtype == torch.float32
            assert found.item() == pytest.approx(expected.item(), rel=1e-5)
            for a, b in zip(gradients, torch.autograd.grad(expected, (u, v)), strict=True):
                assert torch.allclose(a, b, rtol=1e-2, atol=1e-6)


@each_similarity
def test_autocast_changes_nothing_for_float32_codes(similarity: Similarity) -> None:
    u, v = (x.detach().float().requires_grad_() for x in codes(20, 20))
    plain = info_nce(u, v, similarity)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = info_nce(u, v, similarity)
        found = torch.autograd.grad(cast, (u, v))
    assert torch.equal(plain, cast)
    for a, b in zip(torch.autograd.grad(plain, (u, v)), found, strict=True):
        assert torch.equal(a, b)


def test_double_codes_stay_double() -> None:
    u, v = codes(4, 4)
    assert {term.dtype for term in info_nce_terms(u, v, LpSimilarity(1))} == {torch.float64}


@pytest.mark.parametrize("term", [0, 2])
def test_a_second_derivative_raises(term: int) -> None:
    u, v = codes(4, 4)
    for similarity in (DotSimilarity(), LpSimilarity(3)):
        value = info_nce_terms(u, v, similarity)[term]
        (slope,) = torch.autograd.grad(value, u, create_graph=True)
        with pytest.raises(RuntimeError, match="second derivative"):
            (slope.sum() + u.square().sum()).backward()


def test_order_of_the_batch_does_not_matter() -> None:
    u, v = codes(9, 9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    for similarity in SIMILARITIES:
        shuffled = info_nce(u[order], v[order], similarity)
        assert shuffled.item() == pytest.approx(info_nce(u, v, similarity).item(), abs=1e-12)


def test_scales_weigh_as_stretched_coordinates_do() -> None:
    u, v = codes(9, 9)
    for p in (1, 2, 3):
        stretched = (x * SCALES ** (1 / p) for x in (u, v))
        plain = info_nce(*stretched, LpSimilarity(p))
        assert_same(info_nce(u, v, LpSimilarity(p, SCALES)), plain, [u, v])
