"""Batches to train on: an endless, addressed sequence of which step t is always the same."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from threedident.conditionals import Conditional
from threedident.counter import uniforms
from threedident.dataset import ThreeDIdent
from threedident.machine import die_with
from threedident.pairs import PositivePairs

_ROW_STREAM = 2
_NOTICE_S = 0.5


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
        conditional: draws positives; None for batches without any.
        seed: with the step's number, all that a batch depends on.
        batch_size: rows of a batch.
        workers: loader processes.
    """

    dataset: ThreeDIdent
    conditional: Conditional | None
    seed: int
    batch_size: int
    workers: int

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """The batches of steps ``first`` to ``last - 1``."""
        size = self.batch_size
        if self.conditional is None:
            rows = _RowBatches(len(self.dataset), self.seed, size, first, last)
            for images, latents in self._load(self.dataset, rows):
                yield Batch(images, None, latents)
        else:
            pairs = PositivePairs(
                self.dataset, self.conditional, seed=self.seed, length=last * size
            )
            for pair in self._load(pairs, _ItemBatches(size, first, last)):
                yield Batch(pair.image, pair.positive_image, pair.latents)

    def _load(self, dataset: Dataset[Any], batches: Sampler[list[int]]) -> Iterator[Any]:
        return load(dataset, self.workers, batch_sampler=batches)


def load(dataset: Dataset[Any], workers: int, **batching: Any) -> Iterator[Any]:
    """The batches of a torch DataLoader, with errors of its processes as they were raised.

    Arguments:
        dataset: what to load.
        workers: loader processes.
        batching: how rows become batches, as :class:`torch.utils.data.DataLoader` takes it.
    """
    start = partial(_start_process, os.getpid())
    loader = DataLoader(dataset, num_workers=workers, worker_init_fn=start, **batching)
    try:
        yield from loader
    except (EOFError, ConnectionError):  # a process died in the middle of a batch
        with suppress(RuntimeError):
            time.sleep(_NOTICE_S)  # torch's signal handler says so here, or later anywhere
        raise RuntimeError("DataLoader worker died in the middle of a batch") from None
    except ValueError as error:  # from a process, torch hands over the whole traceback as text
        last = str(error).strip().splitlines()[-1]
        raise ValueError(last.removeprefix("ValueError: ")) from None


def _start_process(parent: int, _: int) -> None:
    """Make a loader process leave Ctrl-C to the trainer, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent)


class _ItemBatches(Sampler[list[int]]):
    """Pair numbers in order: step t takes those from t B to (t + 1) B - 1."""

    def __init__(self, size: int, first: int, last: int) -> None:
        self._size, self._steps = size, range(first, last)

    def __iter__(self) -> Iterator[list[int]]:
        for step in self._steps:
            yield list(range(step * self._size, (step + 1) * self._size))

    def __len__(self) -> int:
        return len(self._steps)


class _RowBatches(_ItemBatches):
    """Rows of the data set, uniform and independent, addressed by pair number."""

    def __init__(self, rows: int, seed: int, size: int, first: int, last: int) -> None:
        super().__init__(size, first, last)
        self._rows, self._seed = rows, seed

    def __iter__(self) -> Iterator[list[int]]:
        for items in super().__iter__():
            u = uniforms(self._seed, (_ROW_STREAM,), items, 1)[:, 0]
            yield (u * self._rows).astype(np.int64).tolist()


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
