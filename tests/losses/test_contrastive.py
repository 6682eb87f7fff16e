from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmark.losses import (
    CosineSimilarity,
    DotSimilarity,
    LpSimilarity,
    Similarity,
    info_nce,
    info_nce_terms,
    symmetric_info_nce,
    symmetric_terms,
)
from benchmark.losses import blocks as pairwise

SCALES = torch.tensor([0.3, 1.7, 0.9], dtype=torch.float64)
SIMILARITIES: list[Similarity] = [
    DotSimilarity(),
    CosineSimilarity(),
    *map(LpSimilarity, (1, 1.5, 2, 3, 4.5)),
    *(LpSimilarity(p, SCALES) for p in (1, 1.5, 2, 3)),
]
each_similarity = pytest.mark.parametrize("similarity", SIMILARITIES, ids=str)


def codes(*sizes: int, n: int = 3, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(size, n, generator=generator, dtype=torch.float64).requires_grad_()
        for size in sizes
    ]


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


class Largest(TorchDispatchMode):
    """Elements of the largest tensor that any operation returns, backward ones included."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        found = func(*args, **(kwargs or {}))
        sizes = (x.untyped_storage().nbytes() for x in tree_leaves(found) if isinstance(x, Tensor))
        self.elements = max(self.elements, *(size // 4 for size in sizes), 0)
        return found


@pytest.mark.parametrize("loss", [info_nce, symmetric_info_nce], ids=["one", "both"])
@pytest.mark.parametrize("p", [None, 1, 1.5, 2, 3])
def test_no_tensor_of_all_pairs_exists(
    p: float | None, loss: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, n, elements = 512, 10, 2**15
    monkeypatch.setattr(pairwise, "_elements", lambda _: elements)
    u, v = (x.detach().float().requires_grad_() for x in codes(batch, batch, n=n))
    similarity = DotSimilarity() if p is None else LpSimilarity(p, torch.ones(n))
    with Largest() as largest, threads(1):  # else it sees no more than this thread
        loss(u, v, similarity).backward()
    assert 0 < largest.elements <= 2 * elements < batch**2 / 2


def test_torch_keeps_its_threads() -> None:
    u, v = codes(4, 4)
    with threads(2):
        info_nce(u, v, LpSimilarity(1)).backward()
        assert torch.get_num_threads() == 2


@pytest.mark.parametrize("p", [None, 1, 2, 3])
def test_threads_do_not_change_a_bit(p: float | None) -> None:
    u, v = (x.detach().requires_grad_() for x in codes(700, 700))
    similarity = DotSimilarity() if p is None else LpSimilarity(p, torch.ones(3))
    found = []
    for count in (1, 3):
        with threads(count):
            loss = info_nce(u, v, similarity)
            found.append((loss, *torch.autograd.grad(loss, (u, v))))
    assert all(map(torch.equal, *found))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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


FOUR = torch.zeros(4, 2)
BAD = {
    "anchors and positives: expected one shape": (FOUR, torch.zeros(4, 3)),
    "anchors and positives: expected one": (FOUR[0], FOUR[0]),
    r"anchors and positives: expected one shape \(B, n\), found \(0": (FOUR[:0], FOUR[:0]),
    "anchors: expected at least 2": (FOUR[:1], FOUR[:1]),
    "codes: expected floating-point": (FOUR.long(), FOUR.long()),
}


@pytest.mark.parametrize("told", BAD)
@pytest.mark.parametrize("loss", [info_nce, symmetric_info_nce], ids=["one", "both"])
def test_bad_codes_are_named(told: str, loss: type) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        loss(*BAD[told], DotSimilarity())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_temperature_is_positive(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature: expected a positive number"):
        info_nce(FOUR, FOUR, DotSimilarity(), temperature)


@pytest.mark.parametrize("first", [-1, 3])
def test_first_lies_in_the_negatives(first: int) -> None:
    for loss, negatives in ((info_nce, torch.zeros(6, 2)), (symmetric_terms, (FOUR, FOUR))):
        with pytest.raises(ValueError, match=f"first: expected .* found {first}"):
            loss(FOUR, FOUR, DotSimilarity(), 1.0, negatives, first=first)


def test_first_needs_negatives_and_more_than_itself() -> None:
    with pytest.raises(ValueError, match="first: expected None"):
        info_nce(FOUR, FOUR, DotSimilarity(), first=0)
    with pytest.raises(ValueError, match=r"first: expected 1 anchors .* at least 2 rows"):
        info_nce(FOUR[:1], FOUR[:1], DotSimilarity(), 1.0, FOUR[:1], first=0)


def test_negatives_fit_the_codes() -> None:
    for negatives in (torch.zeros(4, 3), torch.zeros(2), FOUR[:0]):
        with pytest.raises(ValueError, match=r"negatives: expected shape \(M, 2\)"):
            info_nce(FOUR, FOUR, DotSimilarity(), 1.0, negatives)
    for views in (FOUR, (FOUR,), (FOUR, FOUR[:2])):
        with pytest.raises(ValueError, match="negatives: expected"):
            symmetric_info_nce(FOUR, FOUR, DotSimilarity(), 1.0, views)  # type: ignore[arg-type]


@pytest.mark.parametrize("p", [0.5, 0, -1, math.nan, math.inf])
def test_lp_needs_a_norm(p: float) -> None:
    with pytest.raises(ValueError, match="p: expected"):
        LpSimilarity(p)


@pytest.mark.parametrize("scales", [[[1.0]], [1.0, 0.0], [1.0, -1.0], [math.nan], [math.inf]])
def test_scales_are_positive(scales: list[float]) -> None:
    with pytest.raises(ValueError, match="scales: expected"):
        LpSimilarity(2, torch.tensor(scales))


def test_scales_fit_the_codes_whenever_they_are_used() -> None:
    scales = torch.ones(3)
    with pytest.raises(ValueError, match=r"scales: expected shape \(2,\), found \(3,\)"):
        info_nce(FOUR, FOUR, LpSimilarity(1, scales))
    similarity = LpSimilarity(1, scales[:2])
    scales[1] = -1
    with pytest.raises(ValueError, match="scales: expected positive"):
        info_nce(FOUR, FOUR, similarity)


def test_what_takes_no_gradient_or_is_no_tensor_is_refused() -> None:
    u, similarity = torch.rand(4, 3), LpSimilarity(2)
    with pytest.raises(ValueError, match="temperature: expected a number, found a tensor that"):
        info_nce(u, u, similarity, torch.tensor(0.5, requires_grad=True))  # type: ignore[arg-type]
    for wrong in ((u, u), [u]):
        with pytest.raises(ValueError, match=r"negatives: expected one tensor .*concatenate"):
            info_nce(u, u, similarity, negatives=wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="codes: expected tensors"):
        info_nce(u.numpy(), u, similarity)  # type: ignore[arg-type]
