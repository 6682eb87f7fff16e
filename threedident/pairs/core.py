"""Positive pairs, addressed: item k of epoch e depends on (seed, e, k) alone.

- :class:`threedident.pairs.nearest.PositivePairs`: by nearest-latent lookup.
- :class:`threedident.pairs.rendered.RenderedPairs`: positives that were rendered exactly.
- :class:`threedident.pairs.augmented.AugmentedPairs`: two augmentations of one image.

Where anchors are rows of the data set, each epoch holds every row once. Its positives are drawn
anew. Pairs are numbered over all epochs: with L pairs an epoch, number n is item n mod L of epoch
n div L.
"""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch.utils.data import Dataset, Subset, default_collate

from threedident.dataset.split import ThreeDIdent, as_images
from threedident.latents.philox import check_seed, uniforms
from threedident.latents.spaces import Space, find_space
from threedident.pairs.delivered import Delivered, measure
from threedident.pairs.epochs import Clock, Epochs
from threedident.pairs.loader import Loader, load, slices, steps_of
from threedident.runtime.cards import Card

_PAIR_STREAM = 1
_MEASURED = 10_000


class Pair(NamedTuple):
    """Two images and the raw latents behind each, of one pair or of a batch.

    A loader that drops the latents leaves None in their place.
    """

    image: Any
    positive_image: Any
    latents: torch.Tensor | None
    positive_latents: torch.Tensor | None


class Draw(NamedTuple):
    """Pairs before their images are read: arrays, or tensors on one device.

    Arguments:
        anchors: rows of the anchors, shape (B,).
        positives: rows of the positives in their own split, shape (B,).
        z: anchors as drawn, shape (B, d).
        z_positive: positives as the conditional drew them around ``z``, shape (B, d).
    """

    anchors: Any
    positives: Any
    z: Any
    z_positive: Any


class Pairs(Card, Dataset[Pair]):
    """Pairs of images of one split.

    Arguments:
        dataset: images and latents of the anchors: a :class:`ThreeDIdent`, or a torch ``Subset``
            of one, whose rows are then paired among themselves.
        seed: with the epoch and the item's number, all that an item depends on.
        length: number of pairs of an epoch, by default one for each image. Item k does not depend
            on it.

    Attributes:
        changes_images: whether the images of a pair differ from those in the data set.
        positives: images and latents of the positives; the same split unless they were rendered.

    Raises:
        ValueError: the data set is no ThreeDIdent, the seed is not from 0 to 2^63 - 1, or the
            length is below 1.
    """

    changes_images: ClassVar[bool] = False

    def __init__(self, dataset: ThreeDIdent | Subset[Any], seed: int, length: int | None) -> None:
        if length is not None and length < 1:
            raise ValueError(f"length: expected at least 1 pair, found {length}")
        self.dataset = self.positives = as_images(dataset)
        self.seed = check_seed(seed)
        self._length = len(self.dataset) if length is None else operator.index(length)
        self._epochs = Epochs(self.seed, len(self.dataset), self._length)
        self._clock = Clock()
        self._tables: dict[torch.device, torch.Tensor] = {}  # the latents, by device

    @abstractmethod
    def draw(self, items: Any) -> Draw:
        """Pairs by number, without their images.

        Arguments:
            items: numbers of pairs over all epochs, shape (B,), as an array, or as a tensor on any
                device.

        Returns:
            Arrays, or tensors on the same device, of the same values.
        """

    def images(self, items: ArrayLike, draw: Draw, shared: bool) -> tuple[Any, Any]:  # noqa: ARG002
        """The anchors' and the positives' images, each of shape (B, 3, H, W)."""
        sides = (self.dataset, draw.anchors), (self.positives, draw.positives)
        image, positive = (_gather(dataset, rows, shared) for dataset, rows in sides)
        return image, positive

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, item: int) -> Pair:
        return self.__getitems__([item])[0]

    def __getitems__(self, items: Sequence[int]) -> list[Pair]:
        """A whole batch, as torch's DataLoader asks for it: one draw, one search, one read."""
        first = self.epoch * self._length
        batch = self.batch([first + range(self._length)[operator.index(i)] for i in items])
        fields = [_each(field) for field in batch]
        return [Pair(*pair) for pair in zip(*fields, strict=True)]

    def batch(self, items: ArrayLike, *, latents: bool = True, shared: bool = False) -> Pair:
        """Pairs by number, as one batch.

        Arguments:
            items: non-negative numbers of pairs over all epochs, shape (B,).
            latents: whether the batch holds the latents, or None in their place.
            shared: put images into shared memory, to leave a loader process without a copy.

        Returns:
            Images of shape (B, 3, H, W), uint8, channels-last in memory, or what the data set's
            transform makes of them; latents of shape (B, d), float32.
        """
        numbers = np.asarray(items, np.int64)
        draw = self.draw(numbers)
        image, positive = self.images(numbers, draw, shared)
        if not latents:
            return Pair(image, positive, None, None)
        z = torch.from_numpy(self.dataset.latents[draw.anchors])
        return Pair(image, positive, z, torch.from_numpy(self.positives.latents[draw.positives]))

    @property
    def epoch(self) -> int:
        """The current epoch: that of the items, and of loaders when it is set."""
        return self._clock.epoch

    def set_epoch(self, epoch: int) -> None:
        """Draw all pairs anew, as those of an epoch, as torch's samplers do.

        Call it before each epoch of a torch ``DataLoader``; loader processes that it keeps take
        part. Each iteration of :meth:`loader` goes on to the next epoch by itself.

        Raises:
            ValueError: the epoch is negative or too large.
        """
        self._clock.set(epoch)

    def loader(
        self,
        batch_size: int,
        *,
        workers: int = 0,
        first: int = 0,
        steps: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        latents: bool = True,
        pin: bool = False,
        drop_last: bool = False,
    ) -> Loader[Pair]:
        """Batches of an epoch in order, and of the next epoch when iterated again.

        A new loader begins with the current epoch of the pairs: make one and keep it, or call
        :meth:`set_epoch`. Batches do not depend on the number of loader processes, and the shares
        of all ranks together are the batches that one rank alone would get.

        Arguments:
            batch_size: pairs of a step, over all ranks.
            workers: loader processes; 0 to make batches in this one.
            first: the first step, counted from the start of the current epoch and on over epochs;
                later iterations go on from there.
            steps: of each iteration; by default, to the end of the epoch.
            rank: of this process among those that share each step.
            world_size: number of such processes.
            latents: False keeps the latents from whoever gets the batches.
            pin: put tensors into page-locked memory, from which GPUs copy faster.
            drop_last: leave out the last batch of an epoch where it is smaller. InfoNCE depends on
                the number of negatives, and one pair alone has none.

        Raises:
            ValueError: the numbers do not fit each other, an epoch has fewer pairs than a batch,
                or a loader process was killed.
        """
        fetch = partial(self.batch, latents=latents, shared=workers > 0)
        return self.loader_of(
            partial(load, fetch, workers=workers, pin=pin),
            batch_size,
            first=first,
            steps=steps,
            rank=rank,
            world_size=world_size,
            drop_last=drop_last,
        )

    def loader_of(
        self,
        load: Callable[[list[range]], Iterator[Pair]],
        batch_size: int,
        *,
        first: int,
        steps: int | None,
        rank: int,
        world_size: int,
        drop_last: bool,
    ) -> Loader[Pair]:
        """As :meth:`loader`, with batches made by ``load`` of the numbers of each."""

        def cut(start: int, end: int) -> list[range]:
            count = len(self)
            return slices(
                batch_size, start, end, rank, world_size, epoch=count, drop_last=drop_last
            )

        cut(0, 0)  # refuses what does not fit before any work
        each = steps_of(len(self), batch_size, drop_last)
        return Loader(load, cut, each, self._clock, first, steps)

    def delivered(self, count: int = _MEASURED) -> Delivered:
        """What the first ``count`` pairs deliver of what the conditional asks for."""
        draw = self.draw(np.arange(count))
        shown = self.dataset.latents[draw.anchors], self.positives.latents[draw.positives]
        exact = self.positives is not self.dataset
        return measure(shown, (draw.z, draw.z_positive), exact, self.space.columns)

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        data = self.dataset
        return {
            "images": f"{data.folder.root}, {data.split} split, {len(data)} images of "
            f"{data.resolution} pixels",
            **self.law(),
            "pairs": f"{len(self)} an epoch, seed {self.seed}, epoch {self.epoch}",
        }

    def law(self) -> dict[str, str]:
        """How positives are found, as facts of the card."""
        return {}

    def on(self, device: torch.device) -> Pairs:  # noqa: ARG002
        """The same pairs, with all that is needed to draw them on a device."""
        return self

    @property
    def space(self) -> Space:
        """The space of the latents."""
        manifest = self.dataset.manifest
        return find_space("box" if manifest is None else manifest.origin.space)

    def _uniforms(self, numbers: Any, count: int) -> Any:
        epochs, items = self._epochs.address(numbers)
        return uniforms(self.seed, (_PAIR_STREAM,), items, count, epochs=epochs)

    def _latents_of(self, rows: Any) -> Any:
        """Latents of the anchors' rows, float64, as an array or on the rows' device."""
        if not isinstance(rows, torch.Tensor):
            return self.dataset.latents[rows].astype(np.float64)
        if rows.device not in self._tables:
            self._tables[rows.device] = torch.tensor(self.dataset.latents, device=rows.device)
        return self._tables[rows.device][rows].double()


def _gather(dataset: ThreeDIdent, rows: Any, shared: bool) -> Any:
    """Images of rows, or what the data set's transform makes of them."""
    if dataset.transform is None:
        return dataset.images(rows, shared=shared)
    return default_collate([dataset[row][0] for row in rows.tolist()])


def _each(field: Any) -> Sequence[Any]:
    """The parts of a batch's field, one for each pair."""
    return field.unbind() if isinstance(field, torch.Tensor) else field
