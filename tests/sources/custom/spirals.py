"""A source of users for tests, which works, or has a chosen fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.sources.source import Batch, Machine, Source

PATH = f"{__name__}:Spirals"
N_TEST = 600


class Spirals(Source):
    """Points of a spiral in R^3 and their positives, with latents in [-1, 1]^2.

    Arguments:
        turns: turns of the spiral.
        sigma: standard deviation of the positives around their anchors.
        name: a text without effect.
        mirrored: True for the mirror image.
        paired: False for batches without positives.
        data: a file whose text is part of the identity; None for no file.
    """

    labels = ("radius", "angle")
    shape: tuple[int, ...] = (3,)
    size = None
    broken_at: int | None = None  # tests set this step

    def __init__(
        self,
        turns: int = 1,
        sigma: float = 0.1,
        name: str = "",
        mirrored: bool = False,
        paired: bool = True,
        data: Path | None = None,
    ) -> None:
        self.turns, self.sigma, self.name = turns, sigma, name
        self.sign, self.paired = (-1.0 if mirrored else 1.0), paired
        held = "" if data is None else data.read_text()
        self.identity = f"spirals {turns} {mirrored} {held}"

    def draw(self, z: NDArray[np.float64]) -> Tensor:
        radius, angle = torch.from_numpy(z).float().T
        around = torch.pi * self.turns * angle
        return torch.stack([radius * around.cos(), self.sign * radius * around.sin(), angle], 1)

    def batches(
        self, seed: int, steps: range, batch_size: int, machine: Machine
    ) -> Iterator[Batch]:
        for step in steps:
            if step == type(self).broken_at:
                raise OSError("no more spirals")
            rng = np.random.default_rng((seed, step))
            z = rng.uniform(-1, 1, (batch_size, 2))
            near = z + self.sigma * rng.normal(size=z.shape)
            positives = self.draw(near) if self.paired else None
            yield Batch(self.draw(z), positives, torch.from_numpy(z).float()).to(machine.device)

    def latents(self, seed: int) -> NDArray[np.float32]:
        rng = np.random.default_rng((seed, 2**40))
        return rng.uniform(-1, 1, (N_TEST, 2)).astype(np.float32)

    def held_out(self, seed: int, rows: int, machine: Machine) -> Iterator[Tensor]:
        for part in self.draw(self.latents(seed)[:rows].astype(np.float64)).split(250):
            yield part.to(machine.device)

    def summary(self) -> str:
        return "spirals"


class Unstated(Spirals):
    """Spirals that state no identity."""

    def __init__(self, turns: int = 1) -> None:
        super().__init__(turns)
        self.identity = None


class Faulty(Spirals):
    """Spirals with a fault that a text names."""

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self.fault, self.drawn = fault, 0

    def batches(self, seed: int, steps: range, batch_size: int, machine: Machine) -> Iterator[Any]:
        if self.fault == "early end":
            steps = steps[:-1]
        for batch in super().batches(seed, steps, batch_size, machine):
            self.drawn += 1
            match self.fault:
                case "raises":
                    raise RuntimeError("no\nspirals")
                case "wide":
                    yield batch._replace(anchors=torch.zeros(batch_size, 4))
                case "few":
                    yield batch._replace(anchors=batch.anchors[1:])
                case "double":
                    yield batch._replace(anchors=batch.anchors.double())
                case "device":
                    yield batch._replace(positives=batch.anchors.to("meta"))
                case "nan":
                    yield batch._replace(anchors=batch.anchors * torch.nan)
                case "nan latents":
                    yield batch._replace(latents=batch.latents * torch.inf)
                case "wide latents":
                    yield batch._replace(latents=torch.zeros(batch_size, 5))
                case "no latents":
                    yield batch._replace(latents=None)
                case "rows":
                    yield batch._replace(rows=torch.arange(batch_size))
                case "tuple":
                    yield tuple(batch)
                case "no positives":
                    yield batch._replace(positives=None)
                case "order":
                    yield batch._replace(anchors=batch.anchors + self.drawn)
                case _:
                    yield batch

    def latents(self, seed: int) -> NDArray[np.float32]:
        found = super().latents(seed)
        if self.fault == "nan test latents":
            found[3, 1] = np.nan
        return found[:, :1] if self.fault == "narrow test latents" else found

    def held_out(self, seed: int, rows: int, machine: Machine) -> Iterator[Tensor]:
        if self.fault == "test raises":
            raise RuntimeError("no test")
        few = {"few test rows": rows - 1, "many test rows": N_TEST}.get(self.fault, rows)
        yield from super().held_out(seed, few, machine)


class Misstated(Spirals):
    """Spirals that state something wrong of themselves."""

    def __init__(self, what: str = "", value: str = "") -> None:
        super().__init__()
        stated = {"none": None, "empty": (), "twins": ("z", "z"), "zero": 0, "one": 1}
        setattr(self, what, stated.get(value, value))


class Sized(Misstated):
    """The same for what is a property of a source."""

    codes: Any = 2
    circular: Any = None
    rows: Any = None


class Prepared(Spirals):
    """Spirals with a preprocessing of their own."""

    def preprocess(self) -> torch.nn.Module:
        return torch.nn.BatchNorm1d(3)


class Unfinished(Source):
    """A source without its methods."""


def nothing() -> None:
    """Return no source."""
