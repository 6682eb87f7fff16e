"""The limits of InfoNCE with the true inverse and the matching similarity.

With M negatives z' drawn from the marginal, m(z) = E exp(s(z, z')) and r(z) = E exp(2 s(z, z')) /
m(z)^2,

    loss - log M  ->  E[-s(z, z~)] + E_z log m(z)                  (alignment plus uniformity),
    loss - log M - limit  =  (E_z (1 + r(z)) / 2) / M + O(1 / M^2).

The second line is the delta method: the positive adds E[exp(s(z, z~))] / (M m) = r / M, and the
logarithm of a mean of M terms falls short by its relative variance over two, (r - 1) / (2 M).

On a space of volume |Z| with uniform marginal, m(z) = C(z) / |Z| with C the normaliser of the
conditional, so that the limit is the mean conditional entropy less log |Z|:

- on the sphere C is one number, and every z has the same entropy (the paper's Theorem 1);
- in the box C depends on z, since steps are truncated. The loss takes its mean over negatives
  for each anchor apart, so its own normaliser depends on z in the same way: the limit is the
  cross entropy of p(. | z) and C(z)^-1 exp(s(z, .)), which are one law, averaged over z.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import integrate, stats
from scipy.special import gammaln, ive
from torch import Tensor

from benchmark.losses import (
    DotSimilarity,
    LpSimilarity,
    Similarity,
    info_nce_terms,
    symmetric_info_nce,
)
from threedident.conditionals.conditional import Conditional
from threedident.conditionals.sphere import VonMisesFisher
from threedident.conditionals.steps import Laplace, Normal

Array = npt.NDArray[np.float64]
NEGATIVES = np.array([64, 128, 256, 512, 1024, 2048, 4096])
ANCHORS = 10_240


@dataclass(frozen=True)
class Case:
    """A space with a uniform marginal, a conditional, and what theory says of both.

    Arguments:
        marginal: draws codes, shape (count, n).
        conditional: of positives.
        similarity: matching, as the temperature.
        log_volume: log |Z|.
        entropy: mean over z of the conditional's entropy.
        alignment: E[-s(z, z~)].
        ratio: E_z r(z).
        log_mean: log m(z) for rows of z.
    """

    marginal: Callable[[int, np.random.Generator], Array]
    conditional: Conditional
    similarity: Similarity
    temperature: float
    log_volume: float
    entropy: float
    alignment: float
    ratio: float
    log_mean: Callable[[Array], Array]

    @property
    def limit(self) -> float:
        return self.entropy - self.log_volume

    @property
    def constant(self) -> float:
        return (1 + self.ratio) / 2


def log_sphere_normaliser(kappa: float, n: int) -> float:
    """Log of the integral of exp(kappa x_1) over the unit sphere in R^n."""
    order = n / 2 - 1
    bessel = math.log(ive(order, kappa)) + kappa
    return n / 2 * math.log(2 * math.pi) + bessel - order * math.log(kappa)


def sphere(n: int, kappa: float) -> Case:
    def marginal(count: int, rng: np.random.Generator) -> Array:
        z = rng.normal(size=(count, n))
        return z / np.linalg.norm(z, axis=1, keepdims=True)

    area = math.log(2) + n / 2 * math.log(math.pi) - gammaln(n / 2)
    normaliser, double = (log_sphere_normaliser(k, n) for k in (kappa, 2 * kappa))
    cosine = ive(n / 2, kappa) / ive(n / 2 - 1, kappa)
    return Case(
        marginal,
        VonMisesFisher(kappa),
        DotSimilarity(),
        1 / kappa,
        log_volume=area,
        entropy=normaliser - kappa * cosine,
        alignment=-kappa * cosine,
        ratio=math.exp(double + area - 2 * normaliser),
        log_mean=lambda z: np.full(len(z), normaliser - area),
    )


def box(n: int, law: Conditional, p: int, temperature: float) -> Case:
    """Everything from one coordinate, by quadrature: coordinates are independent."""

    def step(center: float, other: float) -> float:
        return abs(other - center) ** p / temperature

    def over_steps(center: float, f: Callable[[float], float]) -> float:
        parts = ((-1.0, center), (center, 1.0))  # smooth on either side of the center
        return sum(integrate.quad(lambda x: f(step(center, x)), *ends)[0] for ends in parts)

    def mean(f: Callable[[float], float]) -> float:
        return float(sum(w * f(c) for c, w in zip(*NODES, strict=True))) / 2

    @cache
    def normaliser(center: float) -> float:
        return over_steps(center, lambda d: math.exp(-d))

    alignment = mean(lambda c: over_steps(c, lambda d: d * math.exp(-d)) / normaliser(c))
    ratio = mean(lambda c: 2 * over_steps(c, lambda d: math.exp(-2 * d)) / normaliser(c) ** 2)
    grid = np.linspace(-1, 1, 401)
    logs = np.log([normaliser(c) / 2 for c in grid])
    return Case(
        lambda count, rng: rng.uniform(-1, 1, (count, n)),
        law,
        LpSimilarity(p),
        temperature,
        log_volume=n * math.log(2),
        entropy=n * (alignment + mean(lambda c: math.log(normaliser(c)))),
        alignment=n * alignment,
        ratio=ratio**n,
        log_mean=lambda z: np.interp(z, grid, logs).sum(axis=1),
    )


NODES = np.polynomial.legendre.leggauss(60)
CASES = {
    "circle": lambda: sphere(2, 1.0),
    "sphere": lambda: sphere(3, 3.0),
    "S^9": lambda: sphere(10, 5.0),
    "Laplace": lambda: box(2, Laplace(0.5), 1, 0.5),
    "Normal": lambda: box(3, Normal(0.6), 2, 2 * 0.6**2),
}
each_case = pytest.mark.parametrize("name", CASES)
build = cache(lambda name: CASES[name]())


def batches(case: Case, size: int, count: int) -> Iterator[tuple[Array, Tensor, Tensor]]:
    """Anchors as an array, and anchors and positives as float32 codes."""
    rng = np.random.default_rng(size)
    for _ in range(count):
        z = case.marginal(size, rng)
        positives = case.conditional.sample(z, rng)
        yield z, torch.tensor(z).float(), torch.tensor(positives).float()


def excess(case: Case, count: int) -> float:
    """The mean of loss - log M - limit where the other anchors are the M negatives.

    What is known to have mean zero is taken off, so that the rest is large enough to be seen:
    alignment less its mean, log m(z) less its own, and the first-order fluctuation of the mean
    over negatives.
    """
    values = []
    for z, u, v in batches(case, count + 1, max(3, ANCHORS // count)):
        found = info_nce_terms(u, v, case.similarity, case.temperature)
        log_mean = case.log_mean(z)
        scores = case.similarity.crossed(u, u).div_(case.temperature)
        means = scores.fill_diagonal_(-math.inf).exp_().sum(dim=1).double().numpy() / count
        known = [
            found.alignment.item() - case.alignment,
            float(log_mean.mean()) - (case.limit - case.alignment),
            float((means / np.exp(log_mean) - 1).mean()),
        ]
        values.append(found.loss.item() - math.log(count) - case.limit - sum(known))
    return float(np.mean(values))


@each_case
def test_loss_falls_to_its_limit_as_one_over_the_negatives(name: str) -> None:
    case = build(name)
    gaps = np.array([excess(case, count) for count in NEGATIVES])
    slope, _ = np.polyfit(np.log(NEGATIVES), np.log(gaps), 1)
    assert slope == pytest.approx(-1, abs=0.06)
    assert np.mean(gaps * NEGATIVES) == pytest.approx(case.constant, rel=0.06)


@each_case
def test_alignment_and_uniformity_add_up_to_the_limit(name: str) -> None:
    """At any M, 0 < loss - log M - (alignment + uniformity) = E log(1 + e), and E log(1 + e) is
    below E[e], which is about E[r] / M.
    """
    case, size = build(name), 2048
    for _, u, v in batches(case, size, 2):
        loss, alignment, uniformity = info_nce_terms(u, v, case.similarity, case.temperature)
        scores = case.similarity.crossed(u, u).div_(case.temperature).double()
        crowd = scores.fill_diagonal_(-math.inf).logsumexp(dim=1)
        alike = case.similarity.paired(u, v).double() / case.temperature
        remainder = (alike - crowd).exp().log1p().mean().item()
        gap = loss.item() - math.log(size - 1) - alignment.item() - uniformity.item()
        assert gap == pytest.approx(remainder, abs=1e-5)
        assert gap == pytest.approx(case.ratio / size, rel=0.2)
        assert alignment.item() + uniformity.item() == pytest.approx(case.limit, abs=0.1)


@pytest.mark.parametrize("name", ["circle", "sphere", "S^9"])
def test_symmetric_form_has_the_same_limit_where_positives_follow_the_marginal(name: str) -> None:
    case, size = build(name), 1024
    losses = [
        symmetric_info_nce(u, v, case.similarity, case.temperature).item()
        for _, u, v in batches(case, size, 4)
    ]
    assert np.mean(losses) - math.log(2 * size - 2) == pytest.approx(case.limit, abs=0.02)


def test_entropies_are_those_of_scipy() -> None:
    def normal(center: float) -> float:
        ends = ((-1 - center) / 0.6, (1 - center) / 0.6)
        return float(stats.truncnorm(*ends, center, 0.6).entropy())

    nodes, weights = NODES
    entropy = 3 * float(np.dot(weights, [normal(c) for c in nodes])) / 2
    assert build("Normal").entropy == pytest.approx(entropy, abs=1e-8)
    for name, n, kappa in (("sphere", 3, 3.0), ("S^9", 10, 5.0)):
        pole = np.eye(n)[0]
        assert build(name).entropy == pytest.approx(stats.vonmises_fisher(pole, kappa).entropy())
    assert build("circle").entropy == pytest.approx(stats.vonmises(1.0).entropy())
