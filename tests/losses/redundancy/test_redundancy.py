"""Losses without negatives, against their definitions and at their minima."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import Tensor, nn

from benchmark.losses.catalogue import find_loss
from benchmark.losses.match import mismatch
from benchmark.losses.redundancy.lejepa import LeJEPA, sigreg
from benchmark.losses.views import Views
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from tests.losses.codes_and_sums import codes

NAMES = ("vicreg", "barlow", "lejepa", "whitening")


def off_diagonal(matrix: Tensor) -> Tensor:
    return matrix[~torch.eye(len(matrix), dtype=torch.bool)]


def vicreg(u: Tensor, v: Tensor) -> Tensor:
    total = 25 * ((u - v) ** 2).mean()
    for x in (u, v):
        spread = (x.var(dim=0) + 1e-4).sqrt()
        total = total + 25 / 2 * torch.clamp(1 - spread, min=0).mean()
        total = total + (off_diagonal(torch.cov(x.T)) ** 2).sum() / x.shape[1]
    return total


def barlow(u: Tensor, v: Tensor) -> Tensor:
    norm = nn.BatchNorm1d(u.shape[1], affine=False).double()
    correlation = norm(u).T @ norm(v) / len(u)
    on = ((1 - correlation.diagonal()) ** 2).sum()
    return on + 0.0051 * (off_diagonal(correlation) ** 2).sum()


def whitening(u: Tensor, v: Tensor) -> Tensor:
    center = (u + v) / 2
    within = (((u - center) ** 2).mean() + ((v - center) ** 2).mean()) / 2
    apart = sum(
        ((torch.cov(x.T) - torch.eye(x.shape[1], dtype=x.dtype)) ** 2).sum() / x.shape[1]
        for x in (u, v)
    )
    return 0.5 * within + 0.5 * apart / 2


def lejepa(u: Tensor, v: Tensor) -> Tensor:
    """With complex exponentials, and the sum over knots written out."""
    torch.manual_seed(7)
    vectors = nn.functional.normalize(torch.randn(256, u.shape[1], dtype=u.dtype), dim=1)
    center = (u + v) / 2
    within = (((u - center) ** 2).mean() + ((v - center) ** 2).mean()) / 2
    total = u.new_zeros(())
    for x in (u, v):
        for k in range(17):
            t = 3 * k / 16
            step = 3 / 16 * (0.5 if k in (0, 16) else 1.0)
            found = torch.exp(1j * t * (x @ vectors.T)).mean(dim=0)
            distance = (found - math.exp(-(t**2) / 2)).abs() ** 2
            total = total + len(x) * 2 * step * math.exp(-(t**2) / 2) * distance.mean() / 2
    return 0.95 * within + 0.05 * total


FORMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "vicreg": vicreg,
    "barlow": barlow,
    "whitening": whitening,
    "lejepa": lejepa,
}


@pytest.mark.parametrize("name", NAMES)
def test_value_and_gradient_are_those_of_the_definition(name: str) -> None:
    views = codes(9, 9)
    loss = find_loss(name)(3)
    torch.manual_seed(7)
    found = loss(Views(codes=views[0], positives=views[1]))["loss"]
    expected = FORMS[name](*views)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, views), torch.autograd.grad(expected, views)
    )


def pairs(law: str, rho: float, rows: int = 40_000, n: int = 3) -> tuple[Tensor, Tensor]:
    """Standard latents, normal or uniform, and stationary steps of the normal ones."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(rows, n))
    positives = rho * z + math.sqrt(1 - rho**2) * rng.normal(size=(rows, n))
    if law == "uniform":
        z = rng.uniform(-math.sqrt(3), math.sqrt(3), (rows, n))
        positives = z
    return torch.tensor(z), torch.tensor(positives)


def rotation(n: int = 3) -> Tensor:
    return torch.tensor(np.linalg.qr(np.random.default_rng(1).normal(size=(n, n)))[0])


MAPS: dict[str, Callable[[Tensor], Tensor]] = {
    "rotated": lambda z: z @ rotation(),
    "bent": lambda z: z.sign() * (z.abs() + z.abs() ** 3) / math.sqrt(1 + 6 + 15),
    "mixed": lambda z: torch.stack([z[:, 0], (z[:, 1] ** 2 - 1) / math.sqrt(2), z[:, 2]], 1),
    "turned by radius": lambda z: spun(z),
}


def spun(z: Tensor) -> Tensor:
    """A map that keeps the normal law, and is not linear: a rotation by the radius."""
    angle = z[:, :2].norm(dim=1)
    cos, sin = angle.cos(), angle.sin()
    first, second = cos * z[:, 0] - sin * z[:, 1], sin * z[:, 0] + cos * z[:, 1]
    return torch.stack([first, second, z[:, 2]], 1)


@pytest.mark.parametrize("rho", [0.5, 0.95])
def test_only_orthogonal_maps_reach_the_bound_of_alignment(rho: float) -> None:
    """E |h(z~) - h(z)|^2 >= 2 (1 - rho) n for whitened maps h of a Gaussian process."""
    z, positives = pairs("normal", rho)
    bound = 2 * (1 - rho) * 3

    def alignment(h: Callable[[Tensor], Tensor]) -> float:
        return float((h(positives) - h(z)).square().sum(dim=1).mean())

    assert alignment(MAPS["rotated"]) == pytest.approx(bound, rel=0.02)
    for name in ("bent", "mixed", "turned by radius"):
        h = MAPS[name]
        assert h(z).var(dim=0).numpy() == pytest.approx(1, abs=0.1)
        assert alignment(h) > 1.03 * bound, name


@pytest.mark.parametrize("name", ["lejepa", "whitening"])
def test_losses_are_least_for_orthogonal_maps(name: str) -> None:
    u, v = pairs("normal", 0.9, rows=4000)
    loss = find_loss(name)(3)

    def value(h: Callable[[Tensor], Tensor]) -> float:
        torch.manual_seed(0)
        return float(loss(Views(codes=h(u), positives=h(v)))["loss"])

    least = value(lambda z: z)
    assert value(MAPS["rotated"]) == pytest.approx(least, rel=0.05, abs=0.01)
    for h in (*(MAPS[k] for k in ("bent", "mixed", "turned by radius")), lambda z: 0.9 * z):
        assert value(h) > 1.02 * least


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_sigreg_is_the_integral_of_characteristic_functions(scale: float) -> None:
    """Of normal codes with another variance, up to the noise of the sample and the cut at 3."""
    rng = np.random.default_rng(0)
    x = torch.tensor(scale * rng.normal(size=(50_000, 4)))
    vectors = nn.functional.normalize(torch.tensor(rng.normal(size=(32, 4))), dim=1)

    def apart(t: float) -> float:
        return (math.exp(-((scale * t) ** 2) / 2) - math.exp(-(t**2) / 2)) ** 2

    exact = 2 * integrate.quad(lambda t: apart(t) * math.exp(-(t**2) / 2), 0, 3)[0]
    found = float(sigreg(x, vectors)) / len(x)
    assert found == pytest.approx(exact, rel=0.03, abs=1e-4)


def test_sigreg_sees_what_second_moments_do_not() -> None:
    normal, uniform = (pairs(law, 0.9, rows=4000)[0] for law in ("normal", "uniform"))
    vectors = torch.eye(3, dtype=torch.float64)
    assert sigreg(uniform, vectors) > 10 * sigreg(normal, vectors)


def test_every_step_draws_new_slices() -> None:
    u, v = pairs("normal", 0.9, rows=100)
    values = [LeJEPA(3, slices=4)(Views(codes=u, positives=v))["sigreg"].item() for _ in range(2)]
    assert values[0] != values[1]


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("lejepa", {"weight": 2.0}, "weight: expected a number from 0 to 1, found 2.0"),
        ("lejepa", {"slices": 0}, "slices: expected at least 1, found 0"),
        ("whitening", {"weight": float("nan")}, "weight: expected a number from 0 to 1"),
    ],
)
def test_arguments_out_of_bounds_are_refused(
    name: str, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        find_loss(name)(3, **arguments)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "asked",
    [{"temperature": 0.5}, {"estimator": "nce"}, {"symmetric": True}, {"output_space": "sphere"}],
    ids=str,
)
def test_options_of_similarities_and_spheres_are_refused(name: str, asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"with a contrastive --loss|fits the loss"):
        complete(Options(source="mixing", loss=name, **asked))
    with pytest.raises(ValueError, match="--loss-option: expected one of"):
        complete(Options(source="mixing", loss=name, loss_option=("beta=1",)))


def test_boxes_are_refused_where_codes_must_be_normal() -> None:
    for name in ("lejepa", "whitening"):
        with pytest.raises(ValueError, match=rf"fits the loss {name} \(unbounded\)"):
            complete(Options(source="mixing", loss=name, output_space="box"))


NORMAL = {"space": "real", "conditional": "autoregressive", "sigma": 0.3}


@pytest.mark.parametrize(
    ("loss", "asked", "reason"),
    [
        ("lejepa", NORMAL, None),
        ("whitening", NORMAL, None),
        ("lejepa", {}, "latents are not normal"),
        ("lejepa", {**NORMAL, "marginal": "laplace"}, "latents are not normal"),
        ("lejepa", {**NORMAL, "conditional": "normal"}, "do not have the law of their anchors"),
        ("lejepa", {**NORMAL, "codes": 5}, "more codes than factors"),
        ("vicreg", NORMAL, "no theorem"),
        ("barlow", NORMAL, "no theorem"),
    ],
    ids=str,
)
def test_violated_assumptions_are_named(
    loss: str, asked: dict[str, Any], reason: str | None
) -> None:
    options = complete(Options(source="mixing", factors=3, loss=loss, **asked))
    found = mismatch(resolve(options, open_source(options)))
    assert (found is None) == (reason is None), found
    assert reason is None or reason in str(found)
