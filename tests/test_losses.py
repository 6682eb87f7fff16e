from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import ive

from benchmark.losses import DotSimilarity, LpSimilarity, Similarity, info_nce
from threedident.conditionals import VonMisesFisher

SIMILARITIES: list[Similarity] = [DotSimilarity(), *map(LpSimilarity, (1, 1.5, 2, 3))]


def brute_force(
    u: torch.Tensor, v: torch.Tensor, similarity: Similarity, temperature: float
) -> torch.Tensor:
    """The definition, one anchor at a time."""

    def s(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        if isinstance(similarity, DotSimilarity):
            return torch.dot(a, b) / temperature
        assert isinstance(similarity, LpSimilarity)
        return -((a - b).abs() ** similarity.p).sum() / temperature

    losses = []
    for i in range(len(u)):
        positive = s(u[i], v[i])
        terms = [positive] + [s(u[i], u[j]) for j in range(len(u)) if j != i]
        losses.append(-positive + torch.stack(terms).exp().sum().log())
    return torch.stack(losses).mean()


@pytest.mark.parametrize("temperature", [0.5, 1.0])
@pytest.mark.parametrize("similarity", SIMILARITIES, ids=str)
def test_value_and_gradient_are_those_of_the_definition(
    similarity: Similarity, temperature: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    u, v = (torch.randn(7, 3, generator=generator, dtype=torch.float64) for _ in range(2))
    inputs = (u.requires_grad_(), v.requires_grad_())
    ours = info_nce(u, v, similarity, temperature)
    theirs = brute_force(u, v, similarity, temperature)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-12)
    for a, b in zip(
        torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True
    ):
        assert torch.allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("similarity", SIMILARITIES, ids=str)
def test_identical_codes_give_log_of_the_batch_and_finite_gradients(
    similarity: Similarity,
) -> None:
    u = torch.ones(16, 4, requires_grad=True)
    v = torch.ones(16, 4, requires_grad=True)
    loss = info_nce(u, v, similarity)
    assert loss.item() == pytest.approx(math.log(16), abs=1e-5)
    for gradient in torch.autograd.grad(loss, (u, v)):
        assert torch.isfinite(gradient).all()


def test_far_codes_stay_finite_and_cost_nothing() -> None:
    u = 1e4 * torch.eye(8)
    for p in (1, 2, 3):
        assert info_nce(u, u.clone(), LpSimilarity(p)).item() == pytest.approx(0, abs=1e-6)


def test_order_of_the_batch_does_not_matter() -> None:
    generator = torch.Generator().manual_seed(1)
    u, v = (torch.randn(9, 2, generator=generator, dtype=torch.float64) for _ in range(2))
    order = torch.randperm(9, generator=generator)
    for similarity in SIMILARITIES:
        shuffled = info_nce(u[order], v[order], similarity)
        assert shuffled.item() == pytest.approx(info_nce(u, v, similarity).item(), abs=1e-12)


def test_true_inverse_reaches_the_conditional_entropy() -> None:
    """Theorem 1 on the sphere: L - log M + log |Z| -> H(p(. | z)) with matching vMF."""
    kappa, dimension, batch = 4.0, 3, 4096
    rng = np.random.default_rng(0)
    z = rng.normal(size=(batch, dimension))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    positives = VonMisesFisher(kappa).sample(z, rng)
    loss = info_nce(torch.tensor(z), torch.tensor(positives), DotSimilarity(), 1 / kappa).item()
    area = 4 * math.pi
    normaliser = (2 * math.pi) ** 1.5 * ive(0.5, kappa) * math.exp(kappa) / math.sqrt(kappa)
    entropy = math.log(normaliser) - kappa * ive(1.5, kappa) / ive(0.5, kappa)
    assert loss - math.log(batch) + math.log(area) == pytest.approx(entropy, abs=0.05)


@pytest.mark.parametrize(
    ("shapes", "temperature"),
    [
        (((4, 2), (4, 3)), 1.0),
        (((1, 2), (1, 2)), 1.0),
        (((4,), (4,)), 1.0),
        (((4, 2), (4, 2)), 0.0),
    ],
)
def test_bad_input_is_named(shapes: tuple[tuple[int, ...], ...], temperature: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        info_nce(*(torch.zeros(shape) for shape in shapes), DotSimilarity(), temperature)


@pytest.mark.parametrize("p", [0.5, 0, -1, math.nan])
def test_lp_needs_a_norm(p: float) -> None:
    with pytest.raises(ValueError, match="p: expected"):
        LpSimilarity(p)
