"""Pairs of mixed latents: exact, endless, and made where the encoder is.

Latents of the box lie in [0, 1]^n, as published; their scales are in these units.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.config import MixingSettings
from benchmark.laws import Marginal, build_conditional
from benchmark.mixing import Mixing
from benchmark.sources import Batch, Machine, Source
from threedident.latents.philox import uniforms
from threedident.pairs.loader import slices

TEST_ROWS = 8192
_TRAIN_STREAM, _TEST_STREAM = 6, 7


class MixingSource(Source):
    """Latents and their positives, both mixed by the same g, which the seed decides.

    Arguments:
        settings: space, marginal and conditional.

    Raises:
        ValueError: the space has no such marginal or conditional.
    """

    settings: MixingSettings

    def __init__(self, settings: MixingSettings) -> None:
        n, law = settings.factors, settings.conditional
        self.settings = settings
        self.shape = (n,)
        self._marginal = Marginal(settings.space, settings.marginal, n)
        self._stretch = 2.0 if settings.space == "box" else 1.0  # laws live in [-1, 1]
        self._mixings: dict[int, Mixing] = {}
        self._conditional = None
        self._count = n
        if law is not None:
            scale = self._stretch * law.sigma
            self._conditional = build_conditional(law.name, scale, settings.space)
            self._count += self._conditional.count(n)

    @property
    def labels(self) -> Sequence[str]:
        """See :class:`Source`."""
        return [f"z{i + 1}" for i in range(self.settings.factors)]

    @property
    def size(self) -> None:
        """See :class:`Source`."""

    def summary(self) -> str:
        """See :class:`Source`."""
        settings, law = self.settings, self.settings.conditional
        pairs = f", positives {law.name}({law.sigma:g})" if law is not None else ""
        return (
            f"mixing: {settings.factors} latents, {settings.space}, {settings.marginal}{pairs}; "
            f"{TEST_ROWS} test rows"
        )

    def batches(
        self, seed: int, steps: range, batch_size: int, machine: Machine
    ) -> Iterator[Batch]:
        """See :class:`Source`."""
        mix = copy.deepcopy(self._mixing(seed)).to(machine.device)
        ranks = machine.ranks
        for items in slices(batch_size, steps.start, steps.stop, ranks.rank, ranks.count):
            yield self._batch(seed, items, mix, machine.device)

    def _batch(self, seed: int, items: range, mix: Mixing, device: torch.device) -> Batch:
        z, z_positive = self.draw(seed, items, device)
        latents = z.float()
        if z_positive is None:
            return Batch(mix(z).float(), None, latents)
        return Batch(mix(z).float(), mix(z_positive).float(), latents)

    def draw(self, seed: int, items: range, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Latents and their positives by number, each of shape (B, n), float64."""
        n = self.settings.factors
        u = _uniforms(seed, _TRAIN_STREAM, items, self._count, device)
        z = self._marginal.transform(u[:, :n])
        positives = None
        if self._conditional is not None:
            positives = self._place(self._conditional.transform(z, u[:, n:]))
        return self._place(z), positives

    def _place(self, z: Any) -> Tensor:
        """Latents of the laws' box in that of the paper."""
        rows = torch.as_tensor(z)
        return (rows + 1.0) / 2.0 if self.settings.space == "box" else rows

    def _test(self, seed: int) -> Tensor:
        u = _uniforms(
            seed, _TEST_STREAM, range(TEST_ROWS), self.settings.factors, torch.device("cpu")
        )
        return self._place(self._marginal.transform(u))

    def latents(self, seed: int) -> NDArray[np.float32]:
        """See :class:`Source`; :data:`TEST_ROWS` latents that no batch holds."""
        rows: NDArray[np.float32] = self._test(seed).float().numpy()
        return rows

    def held_out(self, seed: int, rows: int, machine: Machine) -> Iterator[Tensor]:
        """See :class:`Source`."""
        yield self._mixing(seed)(self._test(seed)[:rows]).float().to(machine.device)

    def _mixing(self, seed: int) -> Mixing:
        """G of a seed, drawn once."""
        if seed not in self._mixings:
            self._mixings[seed] = Mixing(self.settings.factors, seed)
        return self._mixings[seed]


def _uniforms(seed: int, stream: int, items: range, count: int, device: torch.device) -> Any:
    """Uniform numbers by address; on a GPU they are made there."""
    if device.type == "cpu":
        return uniforms(seed, (stream,), np.arange(items.start, items.stop), count)
    rows = torch.arange(items.start, items.stop, device=device)
    return uniforms(seed, (stream,), rows, count)
