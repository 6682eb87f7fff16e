"""AnInfoNCE: its definition, and the weights and axes that it finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus
from torch.nn.utils.parametrizations import orthogonal

from benchmark.losses.match import mismatch
from benchmark.losses.pairwise.aninfonce import AnInfoNCE
from benchmark.losses.views import Views
from benchmark.metrics.scores import score
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from tests.losses.codes_and_sums import codes
from threedident.conditionals.anisotropic import Anisotropic

STEPS, BATCH = 150, 400


@pytest.mark.parametrize("symmetric", [False, True])
def test_value_and_gradient_are_those_of_the_definition(symmetric: bool) -> None:
    u, v = codes(6, 6)
    loss = AnInfoNCE(3, symmetric=symmetric).double()
    weights = softplus(10 * loss.raw_weights)

    def s(a: Tensor, b: Tensor) -> Tensor:
        return -0.5 * (a - b) @ torch.diag(weights) @ (a - b)

    terms = []
    for first, second in [(u, v), (v, u)][: 2 if symmetric else 1]:
        for i in range(6):
            others = [s(first[i], first[j]) for j in range(6) if j != i]
            if symmetric:
                others += [s(first[i], second[j]) for j in range(6) if j != i]
            alike = s(first[i], second[i])
            terms.append(torch.stack([alike, *others]).logsumexp(0) - alike)
    expected = torch.stack(terms).mean()
    found = loss(Views(codes=u, positives=v))["loss"]
    torch.testing.assert_close(found, expected)
    inputs = (u, v, loss.raw_weights)
    torch.testing.assert_close(
        torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs)
    )


def test_weights_and_axes_of_an_anisotropic_law_are_found() -> None:
    """By an encoder that can turn, and sees turned latents."""
    torch.manual_seed(0)
    rng, law = np.random.default_rng(0), Anisotropic(3.0, 5.0)
    rotation = torch.tensor(np.linalg.qr(rng.normal(size=(3, 3)))[0])
    loss = AnInfoNCE(3).double()
    encoder = orthogonal(torch.nn.Linear(3, 3, bias=False).double())
    groups = [{"params": list(module.parameters())} for module in (encoder, loss)]
    optimizer = torch.optim.Adam(groups)
    z = normalize(torch.tensor(rng.normal(size=(STEPS * BATCH, 3))), dim=1)
    positives = torch.tensor(law.sample(z.numpy(), rng))
    for step in range(STEPS):
        rows = slice(BATCH * step, BATCH * (step + 1))
        u, v = (encoder(x[rows] @ rotation) for x in (z, positives))
        optimizer.zero_grad()
        loss(Views(codes=u, positives=v))["loss"].backward()
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * (1 - step / STEPS)
        optimizer.step()
    with torch.no_grad():
        u = encoder(z[:4000] @ rotation)
    scores = score(latents=z[:4000].numpy(), representations=u.numpy())
    assert scores.mcc > 0.98
    found = loss.weights().detach().numpy()[scores.assignment]
    assert found == pytest.approx(law.concentrations(3), rel=0.2)


SPHERE = {"space": "sphere", "conditional": "anisotropic", "sigma": 0.2}


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (SPHERE, None),
        ({**SPHERE, "conditional": "anisotropic25"}, None),
        ({**SPHERE, "conditional": "vmf"}, None),
        ({**SPHERE, "conditional": "laplace"}, "models another law"),
        ({**SPHERE, "marginal": "normal"}, "not uniform, but normal"),
        ({**SPHERE, "extent": 2.0}, "codes do not lie on the unit sphere"),
        ({}, "latents do not lie on a sphere"),
    ],
    ids=str,
)
def test_violated_assumptions_are_named(asked: dict[str, Any], reason: str | None) -> None:
    options = complete(Options(source="mixing", factors=3, loss="aninfonce", **asked))
    assert options.output_space == "sphere"
    found = mismatch(resolve(options, open_source(options)))
    assert (found is None) == (reason is None), found
    assert reason is None or reason in str(found)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"output_space": "box"}, r"fits the loss aninfonce \(sphere\)"),
        ({"temperature": 0.5}, "--temperature: expected with a contrastive --loss"),
        ({"symmetric": True}, "--symmetric: expected with a contrastive --loss"),
        ({"loss_option": ("symmetric=2",)}, "expected true or false for symmetric"),
    ],
    ids=str,
)
def test_options_that_do_not_fit_are_refused(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        complete(Options(source="mixing", loss="aninfonce", **asked))


def test_other_losses_do_not_match_anisotropic_positives() -> None:
    options = complete(Options(source="mixing", factors=3, loss="dot", **SPHERE))
    found = mismatch(resolve(options, open_source(options)))
    assert found == "the loss dot models another law than the conditional anisotropic"
