"""Variational autoencoders: divergences against quadrature, and what they refuse."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from benchmark.leaderboard.submission.runs import supervision_of, uses_train_latents
from benchmark.losses.catalogue import find_loss
from benchmark.losses.generative.beta_vae import BetaVAE
from benchmark.losses.generative.decoder import Posterior
from benchmark.losses.generative.slow_vae import SlowVAE, step_divergence
from benchmark.losses.match import mismatch
from benchmark.losses.views import Views
from benchmark.ranks import Ranks
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.sources.source import Machine
from benchmark.training.objective import Objective
from tests.conftest import make_images

MEANS = torch.tensor([[0.3, -2.0]], dtype=torch.float64)
LOGS = torch.tensor([[-1.0, 0.4]], dtype=torch.float64)
NAMES = ("beta-vae", "slow-vae")


def test_the_normal_divergence_is_that_of_quadrature() -> None:
    expected = 0.0
    for mean, log in zip(MEANS[0], LOGS[0], strict=True):
        q = stats.norm(float(mean), math.exp(float(log) / 2))
        density = lambda z, q=q: q.pdf(z) * (q.logpdf(z) - stats.norm.logpdf(z))  # noqa: E731
        expected += integrate.quad(density, -12, 12)[0]
    assert Posterior(MEANS, LOGS).divergence().item() == pytest.approx(expected, rel=1e-6)


def test_the_slow_divergence_is_that_of_quadrature() -> None:
    rate = 6.0
    first = Posterior(MEANS - 0.4, LOGS - 1.0)
    expected = 0.0
    for k in range(2):
        q = stats.norm(MEANS[0, k].item(), math.exp(LOGS[0, k].item() / 2))
        start = stats.norm(first.mean[0, k].item(), math.exp(first.log_variance[0, k].item() / 2))

        def inner(z: float, q: Any = q) -> float:
            prior = stats.laplace(z, 1 / rate)
            grid = np.linspace(q.mean() - 9 * q.std(), q.mean() + 9 * q.std(), 4001)
            return float(
                integrate.trapezoid(q.pdf(grid) * (q.logpdf(grid) - prior.logpdf(grid)), grid)
            )

        nodes, weights = np.polynomial.hermite_e.hermegauss(40)
        values = [inner(start.mean() + start.std() * x) for x in nodes]
        expected += float(np.dot(weights, values)) / math.sqrt(2 * math.pi)
    found = step_divergence(first, Posterior(MEANS, LOGS), rate)
    assert found.item() == pytest.approx(expected, rel=1e-3)


def test_samples_follow_the_posterior() -> None:
    torch.manual_seed(0)
    found = Posterior(MEANS.expand(20_000, 2), LOGS.expand(20_000, 2)).sample()
    assert found.mean(0).numpy() == pytest.approx(MEANS[0].numpy(), abs=0.05)
    assert found.var(0).log().numpy() == pytest.approx(LOGS[0].numpy(), abs=0.05)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_compared_as_bernoulli_variables(channels: int) -> None:
    loss = BetaVAE(4, (channels, 64, 64), 8, beta=0.0)
    images = torch.randint(0, 256, (3, channels, 64, 64), dtype=torch.uint8)
    codes = torch.randn(3, 4)
    assert loss.decoder(codes).shape == images.shape
    with torch.no_grad():
        loss.decoder[-1].weight.zero_()
        loss.decoder[-1].bias.zero_()
    found = loss(Views(codes=codes, features=torch.randn(3, 8), inputs=images))
    assert found["loss"].item() == pytest.approx(channels * 64**2 * math.log(2), rel=1e-5)


def test_vectors_are_compared_as_normal_variables() -> None:
    loss = BetaVAE(2, (5,), 8, beta=3.0, noise=0.5)
    with torch.no_grad():
        loss.decoder[-1].weight.zero_()
        loss.decoder[-1].bias.zero_()
        loss.head.weight.zero_()
        loss.head.bias.zero_()
    x, codes = torch.randn(6, 5), torch.randn(6, 2)
    found = loss(Views(codes=codes, features=torch.randn(6, 8), inputs=x))
    expected = 0.5 * (x / 0.5).square().sum(1).mean() + 3 * 0.5 * codes.square().sum(1).mean()
    torch.testing.assert_close(found["loss"], expected)


def test_the_slow_loss_is_the_sum_of_its_terms() -> None:
    loss = SlowVAE(2, (5,), 8, beta=2.0, gamma=3.0)
    x, y = torch.randn(2, 6, 5)
    u, v = torch.randn(2, 6, 2)
    f, g = torch.randn(2, 6, 8)
    views = Views(
        codes=u,
        positives=v,
        features=f,
        positive_features=g,
        inputs=x,
        positive_inputs=y,
    )
    terms = loss(views)
    total = terms["reconstruction"] + 2 * terms["divergence"] + 3 * terms["slowness"]
    torch.testing.assert_close(terms["loss"], total)
    terms["loss"].backward()
    assert all(p.grad is not None and (p.grad != 0).any() for p in loss.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_images_of_another_size_are_refused(name: str) -> None:
    with pytest.raises(
        ValueError, match=r"expected images of 64 pixels or vectors .* \(1, 16, 16\)"
    ):
        find_loss(name)(3, (1, 16, 16), 8)


def test_images_train_through_the_run(tmp_path: Path) -> None:
    data = make_images(tmp_path, n=20, n_test=10)
    options = complete(Options(data=data, loss="beta-vae", encoder="conv", batch_size=4, steps=1))
    source = open_source(options)
    with pytest.raises(ValueError, match="expected images of 64 pixels or vectors"):
        Objective(resolve(options, source), source, 0, Ranks())


def test_encoders_without_features_are_refused() -> None:
    asked = {
        "source": "mixing",
        "factors": 3,
        "loss": "beta-vae",
        "encoder": "torch.nn:LazyLinear",
    }
    options = complete(Options(**asked))
    source = open_source(options)
    with pytest.raises(ValueError, match="an encoder with a layer before the last"):
        Objective(resolve(options, source), source, 0, Ranks())


@pytest.mark.parametrize("name", NAMES)
def test_mixed_latents_are_reconstructed(name: str) -> None:
    options = complete(Options(source="mixing", factors=3, loss=name, batch_size=32, steps=1))
    source = open_source(options)
    objective = Objective(resolve(options, source), source, 0, Ranks())
    batch = next(source.batches(0, range(1), 32, Machine(torch.device("cpu"))))
    assert (batch.positives is None) == (name == "beta-vae")
    objective(batch)["loss"].backward()
    assert all(p.grad is not None for p in objective.parameters())


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("beta-vae", {"sigma": 0.1}, "--sigma: expected with a contrastive --loss"),
        ("beta-vae", {"temperature": 0.1}, "which has no similarity"),
        ("beta-vae", {"loss_option": ("rate=1",)}, "expected one of beta, noise, found 'rate'"),
        ("beta-vae", {"output_space": "box"}, r"fits the loss beta-vae \(unbounded\)"),
        ("slow-vae", {"estimator": "nwj"}, "--estimator: expected with a contrastive --loss"),
    ],
)
def test_options_that_do_not_fit_are_refused(name: str, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        complete(Options(source="mixing", loss=name, **asked))


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("beta-vae", {"beta": -1.0}, "beta: expected a number of at least 0, found -1.0"),
        ("slow-vae", {"gamma": math.nan}, "gamma: expected a number of at least 0, found nan"),
        ("beta-vae", {"noise": 0.0}, "noise: expected a positive number, found 0.0"),
        ("slow-vae", {"rate": 0.0}, "rate: expected a positive number, found 0.0"),
    ],
)
def test_arguments_out_of_bounds_are_refused(
    name: str, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        find_loss(name)(3, (5,), 8, **arguments)


def test_no_theorem_is_claimed() -> None:
    for name, law in (("beta-vae", None), ("slow-vae", "laplace"), ("slow-vae", "normal")):
        options = complete(Options(source="mixing", factors=3, loss=name, conditional=law))
        assert mismatch(resolve(options, open_source(options)))


def test_single_images_are_no_supervision(tmp_path: Path) -> None:
    data = make_images(tmp_path, n=20, n_test=10)
    found = []
    for loss in ("beta-vae", "slow-vae", "supervised"):
        options = complete(Options(data=data, loss=loss, batch_size=4, steps=1))
        config = resolve(options, open_source(options))
        found.append((supervision_of(config), uses_train_latents(config)))
    assert found == [("none", False), ("pairs", True), ("full", True)]
