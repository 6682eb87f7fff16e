"""KITTI Masks as a source, with natural transitions instead of draws from a conditional.

An encoder has ten codes, as published. MCC assigns three of them to the factors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.config import MaskSettings
from benchmark.pages.panels import Picture
from benchmark.sources import examples
from benchmark.sources.kitti import LABELS, MaskPairs, load_masks
from benchmark.sources.source import Batch, Machine, Source
from threedident.pairs.epochs import NUMBERING, Epochs
from threedident.pairs.loader import slices

CODES = 10
_EVALUATED = 1024


class MaskSource(Source):
    """The tracks of a file; a tenth of them is held out.

    Arguments:
        path: path of ``kitti_peds_v2.pickle``.
        max_distance: largest number of frames from an anchor to its positive.
        paired: True for training on pairs, False for supervised training.

    Raises:
        ValueError: the file contains other data, or would run code.
    """

    settings: MaskSettings

    def __init__(self, path: Path, max_distance: int, paired: bool = True) -> None:
        masks = load_masks(path)
        self.train, self.test = masks.split()
        self.settings = MaskSettings(
            data=masks.digest, max_distance=max_distance, paired=paired, numbering=NUMBERING
        )
        self.shape = (1, *masks.frames.shape[1:])
        # standardised, because areas are in the hundreds and would dominate the loss
        factors = self.train.latents
        spread = factors.std(axis=0)
        self._targets = (factors - factors.mean(axis=0)) / np.where(spread > 0, spread, 1)
        self.root = path
        if paired:
            self.counted = "the pairs of an epoch"
        pairs = self._pairs(0)  # raises if there are no pairs
        self._size = len(pairs) if paired else len(self.train)

    @property
    def labels(self) -> Sequence[str]:
        """See :class:`Source`."""
        return LABELS

    @property
    def codes(self) -> int:
        """See :class:`Source`."""
        return CODES if self.settings.paired else len(LABELS)

    @property
    def size(self) -> int:
        """See :class:`Source`. The number of pairs, or of masks for supervised training."""
        return self._size

    def summary(self) -> str:
        """See :class:`Source`."""
        tracks = len(self.train.starts) - 1, len(self.test.starts) - 1
        return (
            f"{self.root}: {len(self.train)} train and {len(self.test)} test masks, of "
            f"{tracks[0]} and {tracks[1]} tracks"
        )

    def examples(self, seed: int, codes: NDArray[np.float32]) -> dict[str, Picture]:
        """See :class:`Source`. Frames of one track are similar, so they do not count as near."""
        lengths = np.diff(self.test.starts)
        tracks = np.repeat(np.arange(len(lengths)), lengths) if len(lengths) > 1 else None
        found = {"neighbours": examples.nearest(codes, self.test.images, tracks)}
        if not self.settings.paired:
            return found
        pairs = self._pairs(seed)
        pair = pairs.batch(np.arange(examples.SHOWN))
        return {"pairs": examples.pairs(pair.image, pair.positive_image), **found}

    def preprocess(self) -> nn.Module:
        """See :class:`Source`."""
        return Unit()

    def batches(
        self, seed: int, steps: range, batch_size: int, machine: Machine
    ) -> Iterator[Batch]:
        """See :class:`Source`."""
        ranks = machine.ranks
        pairs, alone = self._pairs(seed), Epochs(seed, len(self.train))
        make = partial(_paired, pairs) if self.settings.paired else partial(self._alone, alone)
        for items in slices(
            batch_size, steps.start, steps.stop, ranks.rank, ranks.count, epoch=self.size
        ):
            yield make(np.arange(items.start, items.stop)).to(machine.device)

    def _pairs(self, seed: int) -> MaskPairs:
        return MaskPairs(self.train, self.settings.max_distance, seed)

    def _alone(self, epochs: Epochs, items: NDArray[np.int64]) -> Batch:
        """A batch for supervised training, from the numbers of its items."""
        rows = epochs.rows(items)
        return Batch(self.train.images(rows), None, torch.from_numpy(self._targets[rows]))

    def latents(self, seed: int) -> NDArray[np.float32]:  # noqa: ARG002
        """See :class:`Source`."""
        return self.test.latents

    def held_out(self, seed: int, rows: int, machine: Machine) -> Iterator[Tensor]:  # noqa: ARG002
        """See :class:`Source`."""
        for start in range(0, rows, _EVALUATED):
            numbers = np.arange(start, min(start + _EVALUATED, rows))
            yield self.test.images(numbers).to(machine.device)


def _paired(pairs: MaskPairs, items: NDArray[np.int64]) -> Batch:
    pair = pairs.batch(items)
    assert pair.latents is not None
    return Batch(pair.image, pair.positive_image, pair.latents)


class Unit(nn.Module):
    """Conversion of masks of 0 and 255 to masks of 0 and 1."""

    def forward(self, images: Tensor) -> Tensor:
        """Masks of 0 and 1, float32, with the shape of ``images``."""
        return images.float() / 255.0
