"""Samplers on another device: the numbers are those of arrays, and nobody waits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from tests.devices.pretend import MixedError, pretending
from threedident import GeneralizedNormal, Laplace, Normal, Uniform, VonMisesFisher
from threedident.augmentations.simclr import SimCLR
from threedident.conditionals import Anisotropic, Autoregressive
from threedident.latents.philox import uniforms

ROWS, COLUMNS = 200, 4
LAWS = {
    "Normal": lambda space: Normal(0.3, space=space),
    "Normal by column": lambda space: Normal((0.1, 0.2, 0.3, 0.4), space=space),
    "Laplace": lambda space: Laplace(0.3, space=space),
    "GeneralizedNormal": lambda space: GeneralizedNormal(0.3, beta=3, space=space),
    "Uniform": lambda space: Uniform(0.3, space=space),
}
SPACES = ("box", "real", "sphere", "projected")


def anchors(space: str) -> Any:
    rows = np.random.default_rng(0).uniform(-1, 1, (ROWS, COLUMNS))
    if space in ("sphere", "projected"):
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def check(law: Any, z: Any, rejects: bool = False) -> None:
    u = np.random.default_rng(1).random((ROWS, law.count(COLUMNS)))
    wanted = law.transform(z, u)
    with pretending() as waits:
        there = [torch.from_numpy(values).to("pretend") for values in (z, u)]
        waits.counts.clear()
        found = law.transform(*there)
        assert bool(waits.counts) == rejects
        assert found.device.type == "pretend"
        assert found.cpu().numpy() == pytest.approx(wanted, abs=1e-11)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("name", LAWS)
def test_steps(name: str, space: str) -> None:
    if (name, space) == ("Normal by column", "sphere"):
        pytest.skip("an angle has one scale")
    check(LAWS[name](space), anchors(space))


def test_other_laws() -> None:
    check(VonMisesFisher(10.0), anchors("sphere"))
    check(Anisotropic(3.0), anchors("sphere"), rejects=True)  # whose loop has no fixed length
    check(Autoregressive(0.9), anchors("real"))


def test_uniform_numbers_have_the_same_bits() -> None:
    with pretending() as waits:
        rows = torch.arange(100).to("pretend", non_blocking=True)
        found = uniforms(5, (1, 2), rows, 7, epochs=3)
        assert not waits.counts
        assert (found.cpu().numpy() == uniforms(5, (1, 2), np.arange(100), 7, epochs=3)).all()


@pytest.mark.parametrize("augmentation", [SimCLR(), SimCLR(bicubic=True, blurred=False)], ids=str)
def test_views(augmentation: SimCLR) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 3, 20, 20), generator=generator, dtype=torch.uint8)
    numbers = torch.rand(40, augmentation.draws, generator=generator, dtype=torch.float64)
    wanted = augmentation.views(images, numbers)
    with pretending() as waits:
        found = augmentation.views(images.to("pretend", non_blocking=True), numbers)
        assert not waits.counts
        assert torch.equal(found.cpu(), wanted)


def test_a_sampler_that_forgets_the_device_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Laplace, "quantile", lambda _, p: p * torch.ones(p.shape[1], dtype=torch.float64)
    )
    law = Laplace(0.3, space="real")
    z, u = torch.zeros(5, 2, dtype=torch.float64), torch.rand(5, 2, dtype=torch.float64)
    law.transform(z, u)
    with pretending(), pytest.raises(MixedError):
        law.transform(z.to("pretend"), u.to("pretend"))
