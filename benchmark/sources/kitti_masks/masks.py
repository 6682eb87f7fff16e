"""KITTI Masks as a source, with natural transitions instead of draws from a conditional.

An encoder has ten codes, as published. MCC assigns three of them to the factors.

A tenth of the tracks is held out and scored, or by the published protocol none: all tracks are
trained on, and 10,000 of their frames are scored, which are anchors of pairs.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from benchmark.pages.picture import Picture
from benchmark.protocol import OURS, Procedure
from benchmark.settings import MaskSettings
from benchmark.sources import examples
from benchmark.sources.kitti_masks.tracks import LABELS, KittiMasks, MaskPairs, load_masks
from benchmark.sources.source import Batch, Machine, Source
from threedident.latents.philox import uniforms
from threedident.pairs.epochs import NUMBERING, Epochs
from threedident.pairs.loader import slices

CODES = 10
_EVALUATED = 1024
_SCORED_STREAM = 22


class MaskSource(Source):
    """The tracks of a file; a tenth of them is held out, unless all are to be trained on.

    Arguments:
        path: path of ``kitti_peds_v2.pickle``.
        max_distance: largest number of frames from an anchor to its positive.
        paired: True for training on pairs, False for supervised training.
        procedure: procedure that decides which tracks are trained on and scored.
        score_on: ``test`` to score held-out tracks, ``train`` to score those trained on.

    Raises:
        ValueError: the file contains other data, or would run code; or held-out tracks are to be
            scored, but none are held out.
    """

    settings: MaskSettings

    def __init__(
        self,
        path: Path,
        max_distance: int,
        paired: bool = True,
        procedure: Procedure = OURS,
        score_on: Literal["test", "train"] = "test",
    ) -> None:
        masks = load_masks(path)
        if procedure.all_tracks and score_on == "test":
            raise ValueError(
                "--score-on: expected train for KITTI Masks by the published protocol, which "
                "trains on all tracks, found test; leave it out, or take --protocol held-out"
            )
        self.train, held_out = (masks, masks) if procedure.all_tracks else masks.split()
        self.scored = self.train if score_on == "train" else held_out
        self._rows = np.arange(len(self.scored))
        if score_on == "train":
            self._rows = _shuffled(self.scored, procedure.all_tracks)
        if settings := procedure.scored.get("kitti"):
            self._rows = self._rows[: settings.rows]
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
        tracks = len(self.train.starts) - 1, len(self.scored.starts) - 1
        return (
            f"{self.root}: {len(self.train)} train and {len(self._rows)} scored masks, of "
            f"{tracks[0]} and {tracks[1]} tracks"
        )

    def examples(self, seed: int, codes: NDArray[np.float32]) -> dict[str, Picture]:
        """See :class:`Source`. Frames of one track are similar, so they do not count as near."""
        lengths = np.diff(self.scored.starts)
        tracks = np.repeat(np.arange(len(lengths)), lengths)[self._rows]
        several = tracks if len(lengths) > 1 else None
        found = {"neighbours": examples.nearest(codes, self._images, several)}
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
        latents: NDArray[np.float32] = self.scored.latents[self._rows]
        return latents

    def held_out(self, seed: int, rows: int, machine: Machine) -> Iterator[Tensor]:  # noqa: ARG002
        """See :class:`Source`."""
        for start in range(0, rows, _EVALUATED):
            numbers = np.arange(start, min(start + _EVALUATED, rows))
            yield self._images(numbers).to(machine.device)

    def _images(self, numbers: ArrayLike) -> Tensor:
        """Images of scored rows."""
        return self.scored.images(self._rows[np.asarray(numbers)])


def _shuffled(masks: KittiMasks, anchors: bool) -> NDArray[np.int64]:
    """Numbers of frames in random order, without the last of each track if ``anchors``."""
    rows = np.arange(len(masks))
    if anchors:
        rows = np.delete(rows, masks.starts[1:] - 1)
    return rows[np.argsort(uniforms(0, (_SCORED_STREAM,), rows, 1)[:, 0])]


def _paired(pairs: MaskPairs, items: NDArray[np.int64]) -> Batch:
    pair = pairs.batch(items)
    assert pair.latents is not None
    return Batch(pair.image, pair.positive_image, pair.latents)


class Unit(nn.Module):
    """Conversion of masks of 0 and 255 to masks of 0 and 1."""

    def forward(self, images: Tensor) -> Tensor:
        """Masks of 0 and 1, float32, with the shape of ``images``."""
        return images.float() / 255.0
