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
from benchmark.losses.match import mismatch
from benchmark.losses.pairwise.decoupled import Decoupled
from benchmark.losses.pairwise.info_nce import InfoNCE
from benchmark.losses.similarities import LpSimilarity
from benchmark.losses.views import Views
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
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


def nce(alike: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
    b = 0.4
    return -(alike + b).sigmoid().log().mean() - 2 * (-scores - b).sigmoid().log()[mask].mean()


def spectral(alike: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
    return -2 * (alike + 0.4).exp().mean() + (scores + 0.4).exp()[mask].square().mean()


def of_products(alike: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
    return -2 * alike.mean() + scores[mask].square().mean()


def nwj(alike: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
    return -(alike + 0.4).mean() + (scores - 0.6)[mask].exp().mean()


FORMS: dict[str, Callable[..., Tensor]] = {
    "info-nce": contrast,
    "decoupled": decoupled,
    "nce": nce,
    "spectral": spectral,
    "nwj": nwj,
}
OPTIONS = {"nce": {"k": 2.0}}
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
    settings = {"similarity": similarity, "temperature": 0.7, "symmetric": both}
    loss = ESTIMATORS[name](3, **settings, **OPTIONS.get(name, {})).double()
    if hasattr(loss, "offset"):
        loss.offset.value.data.fill_(0.04)
    form = FORMS[name]
    if name == "spectral" and similarity in ("dot", "cosine"):
        form = of_products
    views = codes(6, 6)
    found = loss(Views(codes=views[0], positives=views[1]))["loss"]

    def critic(a: Tensor, b: Tensor) -> Tensor:
        return SIMILARITIES[similarity](a, b) / 0.7

    expected = form(*crossed(*views, critic, both))
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


@pytest.mark.parametrize("name", ["nce", "spectral", "nwj"])
def test_the_offset_gets_its_gradient(name: str) -> None:
    loss = ESTIMATORS[name](3, similarity="l2").double()
    views = Views(**dict(zip(("codes", "positives"), codes(6, 6), strict=True)))
    found = loss(views)
    [gradient] = torch.autograd.grad(found["loss"], loss.offset.value)
    values = []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            loss.offset.value.add_(step)
            values.append(loss(views)["loss"].item())
            loss.offset.value.sub_(step)
    assert gradient.item() == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6)
    assert found["offset"] == 0


@pytest.mark.parametrize("name", ["nce", "spectral", "nwj"])
def test_the_true_conditional_is_stationary(name: str) -> None:
    """On the circle with kappa 2, the offset is least at minus the log normaliser."""
    kappa, rng = 2.0, torch.Generator().manual_seed(0)
    grid = torch.linspace(-math.pi, math.pi, 4097, dtype=torch.float64)[1:]
    weights = (kappa * grid.cos()).exp()
    best = -weights.mean().log().item() + (name == "nwj")
    angles = 2 * math.pi * torch.rand(2048, generator=rng, dtype=torch.float64)
    steps = grid[torch.multinomial(weights, 2048, replacement=True, generator=rng)]
    u, v = (torch.stack([a.cos(), a.sin()], dim=1) for a in (angles, angles + steps))
    # kappa u . v is a distance up to a constant: kappa - kappa / 2 |u - v|^2
    loss = ESTIMATORS[name](2, similarity="l2", temperature=2 / kappa, offset=best + kappa)
    loss = loss.double()
    found = loss(Views(codes=u, positives=v))
    [gradient] = torch.autograd.grad(found["loss"], loss.offset.value)
    assert abs(gradient.item()) < 0.5 * {"nce": 1, "spectral": 3, "nwj": 1}[name]
    for shift in (-0.5, 0.5):
        other = ESTIMATORS[name](
            2, similarity="l2", temperature=2 / kappa, offset=best + kappa + shift
        )
        assert other.double()(Views(codes=u, positives=v))["loss"] > found["loss"]


def test_the_spectral_loss_is_least_at_the_eigenfunctions() -> None:
    """On the sphere with a von Mises-Fisher law: the constant, and the latents times a number."""
    from threedident.conditionals.sphere import VonMisesFisher

    rng = torch.Generator().manual_seed(1)
    z = torch.nn.functional.normalize(torch.randn(4096, 3, generator=rng).double(), dim=1)
    positives = VonMisesFisher(3.0).sample(z, rng)
    resultant = 1 / math.tanh(3.0) - 1 / 3
    loss = ESTIMATORS["spectral"](4, similarity="dot")

    def value(constant: float, length: float) -> float:
        views = [
            torch.cat([torch.full((len(x), 1), constant), length * x], 1) for x in (z, positives)
        ]
        return float(loss(Views(codes=views[0], positives=views[1]))["loss"])

    best = value(1.0, math.sqrt(3 * resultant))
    assert best == pytest.approx(-1 - 3 * resultant**2, rel=0.03)
    for constant, length in ((0.8, 1.0), (1.2, 1.0), (1.0, 0.8), (1.0, 1.2)):
        assert value(constant, length * math.sqrt(3 * resultant)) > best


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"estimator": "decoupled", "output_space": "box", "conditional": "normal"}, None),
        ({"estimator": "nce", "output_space": "box"}, "learns one number for all anchors"),
        ({"estimator": "nwj", "space": "sphere", "conditional": "vmf", "loss": "dot"}, "conc"),
        (
            {
                "estimator": "nce",
                "space": "sphere",
                "conditional": "vmf",
                "loss": "dot",
                "sigma": 1.0,
            },
            None,
        ),
        (
            {"estimator": "spectral", "space": "sphere", "conditional": "vmf", "loss": "dot"},
            "needs one code for the constant",
        ),
        (
            {
                "estimator": "spectral",
                "space": "sphere",
                "conditional": "vmf",
                "loss": "cosine",
            },
            "have one norm",
        ),
        (
            {
                "estimator": "spectral",
                "space": "sphere",
                "conditional": "vmf",
                "loss": "dot",
                "codes": 4,
            },
            None,
        ),
    ],
    ids=str,
)
def test_violated_assumptions_are_named(options: dict[str, Any], reason: str | None) -> None:
    options = complete(Options(source="mixing", factors=3, **options))
    found = mismatch(resolve(options, open_source(options)))
    assert (found is None) == (reason is None), found
    assert reason is None or reason in str(found)


def test_the_spectral_loss_leaves_codes_unbounded() -> None:
    asked = Options(source="mixing", space="sphere", conditional="vmf", loss="dot")
    assert complete(asked.replace(estimator="spectral")).output_space == "unbounded"
    assert complete(asked.replace(estimator="nce")).output_space == "sphere"
    assert complete(asked.replace(estimator="info-nce")).estimator is None


def test_refusals_of_arguments() -> None:
    with pytest.raises(ValueError, match="k: expected a positive number, found -1"):
        ESTIMATORS["nce"](3, k=-1.0)
    for estimator, argument in (("nwj", "k=1"), ("nce", "temperature=1")):
        with pytest.raises(ValueError, match="--loss-option: expected one of"):
            complete(Options(source="mixing", estimator=estimator, loss_option=(argument,)))
    with pytest.raises(ValueError, match="which has no similarity"):
        complete(Options(source="mixing", loss="supervised", estimator="nce"))
