"""Batches to train on: an endless, addressed sequence of which step t is always the same.

Packed images are gathered where the encoder is; others come from loader processes. The batches
are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.config import Config
from threedident.counter import uniforms
from threedident.dataset import ThreeDIdent
from threedident.loading import load, slices
from threedident.nearest_pairs import PositivePairs
from threedident.pairs import Pair, Pairs
from threedident.resident import ResidentImages, ResidentPairs, fits

_ROW_STREAM = 2


@dataclass(frozen=True)
class Machine:
    """Where a run computes: none of its numbers should depend on it.

    Arguments:
        device: of the model.
        workers: loader processes, where images are not packed.
    """

    device: torch.device
    workers: int


class Batch(NamedTuple):
    """Images (B, 3, H, W), uint8, and what the loss compares their codes with.

    Arguments:
        images: anchors.
        positives: their positives, or None for supervised training.
        latents: raw latents of the anchors, (B, 10).
    """

    images: Tensor
    positives: Tensor | None
    latents: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        positives = None if self.positives is None else self.positives.to(device)
        return Batch(self.images.to(device), positives, self.latents.to(device))


@dataclass(frozen=True)
class Source:
    """Where batches come from.

    Arguments:
        dataset: the train split.
        pairs: of the train split; None for batches without positives.
        seed: with the step's number, all that a batch without positives depends on.
        batch_size: rows of a batch.
        machine: where batches are wanted.
    """

    dataset: ThreeDIdent
    pairs: Pairs | None
    seed: int
    batch_size: int
    machine: Machine

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """The batches of steps ``first`` to ``last - 1``, on the machine's device."""
        numbers, device = slices(self.batch_size, first, last), self.machine.device
        if fits(self.dataset if self.pairs is None else self.pairs, device):
            fetch = self._resident()
            yield from (fetch(items) for items in numbers)
        else:
            workers = self.machine.workers
            fetch = partial(self._load, shared=workers > 0)
            loaded = load(fetch, numbers, workers, pin=device.type == "cuda")
            yield from (batch.to(device) for batch in loaded)

    def _load(self, items: range, shared: bool) -> Batch:
        """One batch on the CPU."""
        if self.pairs is not None:
            return _batch(self.pairs.batch(items, shared=shared))
        rows = self._rows(items)
        latents = torch.from_numpy(self.dataset.latents[rows])
        return Batch(self.dataset.images(rows, shared=shared), None, latents)

    def _resident(self) -> Callable[[range], Batch]:
        """Makes the same batches where the encoder is."""
        device = self.machine.device
        if self.pairs is not None:
            pairs = ResidentPairs(self.pairs, device)
            return lambda items: _batch(pairs.batch(items))
        images = ResidentImages(self.dataset, device)

        def fetch(items: range) -> Batch:
            rows = torch.from_numpy(self._rows(items)).to(device)
            return Batch(images.images(rows), None, images.latents(rows))

        return fetch

    def _rows(self, items: range) -> NDArray[np.int64]:
        """Rows of the data set, uniform and independent, addressed by number."""
        u = uniforms(self.seed, (_ROW_STREAM,), items, 1)[:, 0]
        return (u * len(self.dataset)).astype(np.int64)


def _batch(pair: Pair) -> Batch:
    assert pair.latents is not None
    return Batch(pair.image, pair.positive_image, pair.latents)


def build_pairs(config: Config, dataset: ThreeDIdent, seed: int) -> Pairs | None:
    """The pairs that a configuration trains on; None for the supervised loss."""
    conditional = config.positives()
    return None if conditional is None else PositivePairs(dataset, conditional, seed=seed)


class Normalise(torch.nn.Module):
    """Images from uint8 to channels of mean 0 and standard deviation 1 over the train split."""

    mean: Tensor
    std: Tensor

    def __init__(self, dataset: ThreeDIdent) -> None:
        super().__init__()
        mean, std = dataset.channel_statistics()
        for name, values in (("mean", mean), ("std", std)):
            tensor = torch.tensor(255.0 * values, dtype=torch.float32).view(3, 1, 1)
            self.register_buffer(name, tensor)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images, shape (B, 3, H, W), float32, channels-last in memory."""
        scaled = (images.float() - self.mean) / self.std
        return scaled.contiguous(memory_format=torch.channels_last)
