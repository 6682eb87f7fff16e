"""Agreement of a device with the CPU: losses, samplers, pairs and metrics on the same numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmark.losses.catalogue import LOSSES
from benchmark.metrics import score
from benchmark.ranks import Ranks
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.sources.source import Machine
from benchmark.training.objective import Objective
from threedident.augmentations.simclr import SimCLR
from threedident.conditionals import GeneralizedNormal, Laplace, Normal, Uniform, VonMisesFisher
from threedident.dataset.split import ThreeDIdent
from threedident.latents.philox import uniforms
from threedident.pairs.augmented import AugmentedPairs
from threedident.pairs.core import Pairs
from threedident.pairs.nearest import PositivePairs
from threedident.pairs.resident import ResidentPairs
from threedident.runtime.arrays import as_host

ESTIMATORS = ("decoupled", "nce", "spectral", "nwj")
_ROWS, _FACTORS, _BATCH = 2048, 5, 128
_LAWS = (Normal, Laplace, GeneralizedNormal, Uniform)
_FLOAT32, _FLOAT64 = 1e-4, 1e-10
_DRAWING = ("lejepa", "beta-vae", "slow-vae")  # draw on the device, whose numbers are others


class Agreement(NamedTuple):
    """The largest difference of a device from the CPU.

    Arguments:
        what: what was computed.
        gap: the largest difference, relative to the largest number of the CPU.
        allowed: largest gap that rounding explains; 0 where bits must agree.
    """

    what: str
    gap: float
    allowed: float

    @property
    def holds(self) -> bool:
        """True if rounding explains the gap."""
        return self.gap <= self.allowed


def agreements(device: torch.device, data: Path) -> Iterator[Agreement]:
    """Everything that is compared.

    Arguments:
        device: device to compare with the CPU.
        data: data set of noise images, packed.
    """
    for name in LOSSES:
        if name not in ("diet", *_DRAWING):  # diet has a row of weights for each image
            yield _of_loss(device, loss=name)
    for name in ESTIMATORS:
        yield _of_loss(device, loss="l1", estimator=name)
    yield _of_loss(device, loss="l2", loss_option=("wide=64",))
    yield _of_uniforms(device)
    for space in ("box", "real", "sphere", "projected"):
        for law in _LAWS:
            yield _of_law(device, f"{law.__name__}, {space}", law(0.2, space=space), space)
    yield _of_law(device, "VonMisesFisher", VonMisesFisher(10.0), "sphere")
    yield _of_views(device)
    dataset = ThreeDIdent(data)
    yield _of_pairs(device, "augmented pairs", AugmentedPairs(dataset))
    try:
        nearest = PositivePairs(dataset, Normal(0.2), index="exact")
    except ValueError:  # without faiss
        pass
    else:
        yield _of_pairs(device, "nearest pairs", nearest)
    yield _of_score(device)


def _gap(what: str, found: Any, wanted: Any, allowed: float) -> Agreement:
    there, here = (np.asarray(as_host(values), np.float64) for values in (found, wanted))
    scale = max(float(abs(here).max()), 1e-30)
    return Agreement(what, float(abs(there - here).max()) / scale, allowed)


def _of_loss(device: torch.device, **asked: Any) -> Agreement:
    """The gradients of all parameters, of one batch of mixed latents."""
    there, here = (_gradients(place, asked) for place in (device, torch.device("cpu")))
    what = ", ".join(str(value) for value in asked.values())
    return _gap(f"gradients of {what}", there, here, _FLOAT32)


def _gradients(device: torch.device, asked: dict[str, Any]) -> torch.Tensor:
    given = {"source": "mixing", "factors": _FACTORS, "batch_size": _BATCH, "steps": 1, **asked}
    options = complete(Options(**given))
    source = open_source(options)
    objective = Objective(resolve(options, source), source, 0, Ranks()).to(device)
    [batch] = source.batches(0, range(1), _BATCH, Machine(device))
    objective(batch)["loss"].backward()
    grown = [p.grad.flatten() for p in objective.parameters() if p.grad is not None]
    return torch.cat(grown).detach().cpu()


def _of_uniforms(device: torch.device) -> Agreement:
    rows = np.arange(_ROWS)
    there = uniforms(0, (1,), torch.from_numpy(rows).to(device), 11)
    return _gap("uniform numbers", there, uniforms(0, (1,), rows, 11), 0.0)


def _of_law(device: torch.device, what: str, law: Any, space: str) -> Agreement:
    rng = np.random.default_rng(0)
    z = rng.uniform(-1, 1, (_ROWS, _FACTORS))
    if space in ("sphere", "projected"):
        z /= np.linalg.norm(z, axis=1, keepdims=True)
    u = rng.random((_ROWS, law.count(_FACTORS)))
    there = law.transform(*(torch.from_numpy(values).to(device) for values in (z, u)))
    return _gap(what, there, law.transform(z, u), _FLOAT64)


def _of_views(device: torch.device) -> Agreement:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (_BATCH, 3, 64, 64), generator=generator, dtype=torch.uint8)
    augment = SimCLR()
    numbers = torch.rand(_BATCH, augment.draws, generator=generator, dtype=torch.float64)
    there = augment.views(images.to(device), numbers)
    return _gap("augmented views", there, augment.views(images, numbers), 0.0)


def _of_pairs(device: torch.device, what: str, pairs: Pairs) -> Agreement:
    there, here = ResidentPairs(pairs, device).batch(range(_BATCH)), pairs.batch(range(_BATCH))
    gaps = [_gap(what, *sides, allowed=0.0) for sides in zip(there, here, strict=True)]
    return max(gaps, key=lambda found: found.gap)


def _of_score(device: torch.device) -> Agreement:
    rng = np.random.default_rng(0)
    latents = rng.uniform(-1, 1, (_ROWS, _FACTORS))
    codes = np.tanh(latents @ rng.normal(size=(_FACTORS, _FACTORS)))
    there = score(latents=latents, representations=torch.from_numpy(codes).to(device))
    here = score(latents=latents, representations=codes)
    return _gap("R2 and MCC", np.array([there.r2, there.mcc]), np.array([here.r2, here.mcc]), 0.0)
