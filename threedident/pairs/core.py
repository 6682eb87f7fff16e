"""Base class of positive pairs. Item k of epoch e depends only on (seed, e, k).

- :class:`threedident.pairs.nearest.PositivePairs`: positives by nearest-latent lookup.
- :class:`threedident.pairs.rendered.RenderedPairs`: positives that were rendered exactly.
- :class:`threedident.pairs.augmented.AugmentedPairs`: two augmentations of one image.

If anchors are rows of the data set, each epoch contains every row once, with newly drawn
positives. Pairs are numbered over all epochs: with L pairs per epoch, pair number n is item
n mod L of epoch n div L.
"""

from __future__ import annotations

import copy
import operator
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import Dataset, Subset, default_collate

from threedident.conditionals.rules.rule import Rule
from threedident.dataset.split import ThreeDIdent, as_images
from threedident.latents.philox import check_seed, uniforms
from threedident.latents.spaces import Space, find_space
from threedident.pairs.delivered import Delivered, measure
from threedident.pairs.epochs import Clock, Epochs
from threedident.pairs.loader import Loader, load, slices, steps_of
from threedident.pairs.pair import Draw, MarkedPair, Pair
from threedident.runtime.cards import Card

_PAIR_STREAM = 1
_MEASURED = 10_000


class Pairs(Card, Dataset[Pair]):
    """Pairs of images of one split.

    Arguments:
        dataset: images and latents of the anchors: a :class:`ThreeDIdent`, or a torch ``Subset``
            of one. With a ``Subset``, positives come from the same rows.
        seed: from 0 to 2^63 - 1. An item depends only on the seed, the epoch and its number.
        length: number of pairs per epoch, by default one per image. Item k does not depend on it.

    Attributes:
        changes_images: True if the images of a pair differ from those in the data set.
        positives: images and latents of the positives; equal to ``dataset`` unless positives were
            rendered.
        rule: rule from anchors to positives, or None if they follow none.

    Raises:
        ValueError: the data set is not a ThreeDIdent, the seed is not from 0 to 2^63 - 1, or the
            length is below 1.
    """

    changes_images: ClassVar[bool] = False
    rule: Rule | None = None

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
            Arrays, or tensors on the device of ``items``. The values are the same in both cases.
        """

    def changed(self, items: Any) -> Any:
        """The factors that the rule changes in pairs, by number.

        A positive by nearest latent may also differ in factors that the rule keeps, see
        :meth:`delivered`.

        Arguments:
            items: numbers of pairs over all epochs, shape (B,), as an array, or as a tensor on any
                device.

        Returns:
            Shape (B, factors), bool; a tensor on the device of ``items`` if that is a tensor.

        Raises:
            ValueError: the pairs follow no rule.
        """
        if self.rule is None:
            raise ValueError(
                f"changed: expected pairs that follow a rule, found {type(self).__name__} without "
                "one; make them from a rule such as 'position=keep;rest=normal:0.1'"
            )
        return self.rule.changed(self._numbers(items))

    def _numbers(self, items: Any) -> Any:
        """The uniform numbers from which the positives of pairs are drawn, shape (B, count)."""
        raise NotImplementedError

    def marked(self, pair: Pair, items: range | NDArray[np.int64]) -> Pair:
        """A batch with the factors that the rule changes in its pairs, if they follow one.

        Arguments:
            pair: the batch.
            items: numbers of its pairs over all epochs, shape (B,).
        """
        if self.rule is None:
            return pair
        found, changed = MarkedPair(*pair), torch.from_numpy(self.changed(np.asarray(items)))
        there = isinstance(pair.image, torch.Tensor)
        found.changed = changed.to(pair.image.device, non_blocking=True) if there else changed
        return found

    def images(self, items: ArrayLike, draw: Draw, shared: bool) -> tuple[Any, Any]:
        """Images of the anchors and of the positives, each of shape (B, 3, H, W)."""
        shared = shared and not self.changes_images
        positive = image = _gather(self.dataset, draw.anchors, shared)
        if self.positives is not self.dataset or draw.positives is not draw.anchors:
            positive = _gather(self.positives, draw.positives, shared)
        return self.shown(np.asarray(items), image, positive)

    def shown(self, items: NDArray[np.int64], image: Any, positive: Any) -> tuple[Any, Any]:  # noqa: ARG002
        """The images of pairs, made from those of the data set.

        Arguments:
            items: numbers of pairs over all epochs, shape (B,).
            image: images of the anchors, (B, 3, H, W).
            positive: images of the positives, (B, 3, H, W).
        """
        return image, positive

    @property
    def batched(self) -> bool:
        """False if images are made one by one on the CPU."""
        return True

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, item: int) -> Pair:
        return self.__getitems__([item])[0]

    def __getitems__(self, items: Sequence[int]) -> list[Pair]:
        """A whole batch for torch's DataLoader, made with one draw and one search."""
        first = self.epoch * self._length
        batch = self.batch([first + range(self._length)[operator.index(i)] for i in items])
        fields = [_each(field) for field in batch]
        return [Pair(*pair) for pair in zip(*fields, strict=True)]

    def batch(self, items: ArrayLike, *, latents: bool = True, shared: bool = False) -> Pair:
        """Pairs by number, as one batch.

        Arguments:
            items: non-negative numbers of pairs over all epochs, shape (B,).
            latents: False to put None in place of the latents.
            shared: True to put images into shared memory, so that a loader process can pass them
                on without a copy.

        Returns:
            Images of shape (B, 3, H, W), uint8, channels-last in memory, or the results of the
            data set's transform; latents of shape (B, d), float32. If the pairs follow a rule, it
            is a :class:`MarkedPair`.
        """
        numbers = np.asarray(items, np.int64)
        return self.marked(self._batch(numbers, latents=latents, shared=shared), numbers)

    def _batch(self, items: ArrayLike, latents: bool, shared: bool) -> Pair:
        numbers = np.asarray(items, np.int64)
        draw = self.draw(numbers)
        image, positive = self.images(numbers, draw, shared)
        if not latents:
            return Pair(image, positive, None, None)
        z = torch.from_numpy(self.dataset.latents[draw.anchors])
        return Pair(image, positive, z, torch.from_numpy(self.positives.latents[draw.positives]))

    @property
    def epoch(self) -> int:
        """The current epoch, to which items belong, and in which new loaders begin."""
        return self._clock.epoch

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, like the method of the same name of torch's samplers.

        Call it before each epoch of a torch ``DataLoader``. It also reaches loader processes that
        are already running. Iterating :meth:`loader` moves on to the next epoch by itself.

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
        """Loader of the batches of one epoch in order. Each iteration is the next epoch.

        A new loader begins with the current epoch of the pairs. Keep one loader for all epochs,
        or call :meth:`set_epoch` before you create another. Batches do not depend on the number
        of loader processes. The parts of all ranks together are the batches of a single rank.

        Arguments:
            batch_size: pairs per step, over all ranks.
            workers: number of loader processes; 0 to make batches in this process.
            first: the first step, counted from the start of the current epoch. It may lie in a
                later epoch. Later iterations continue from there.
            steps: steps per iteration; by default, up to the end of the epoch.
            rank: number of this process among those that share each step.
            world_size: number of processes that share each step.
            latents: False to leave the latents out of the batches.
            pin: True to put tensors into page-locked memory, from which GPUs copy faster.
            drop_last: True to leave out the last batch of an epoch if it is smaller. InfoNCE
                depends on the number of negatives, and a single pair has none.

        Raises:
            ValueError: the numbers contradict each other, an epoch has fewer pairs than a batch,
                or a loader process was killed.
        """
        fetch = partial(self._batch, latents=latents, shared=workers > 0)
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
        """Like :meth:`loader`, but ``load`` makes the batches from the numbers of their pairs."""

        def cut(start: int, end: int) -> list[range]:
            count = len(self)
            return slices(
                batch_size, start, end, rank, world_size, epoch=count, drop_last=drop_last
            )

        def marked(numbers: list[range]) -> Iterator[Pair]:
            return (self.marked(*each) for each in zip(load(numbers), numbers, strict=True))

        cut(0, 0)  # raises for bad arguments before any work
        each = steps_of(len(self), batch_size, drop_last)
        return Loader(marked, cut, each, self._clock, first, steps)

    def delivered(self, count: int = _MEASURED) -> Delivered:
        """Requested and delivered steps, measured on the first ``count`` pairs."""
        items = np.arange(count)
        draw = self.draw(items)
        shown = self.dataset.latents[draw.anchors], self.positives.latents[draw.positives]
        exact, kept = self.positives is not self.dataset, None
        if self.rule is not None and (self.rule.kept or self.rule.sometimes):
            kept = self.rule.layout.over_columns(~self.rule.acting(self._numbers(items)))
        return measure(shown, (draw.z, draw.z_positive), exact, self.space.columns, kept)

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        data = self.dataset
        return {
            "images": f"{data.folder.root}, {data.split} split, {len(data)} images of "
            f"{data.resolution} pixels",
            **self.law(),
            **_roles(self.rule),
            "pairs": f"{len(self)} an epoch, seed {self.seed}, epoch {self.epoch}",
        }

    def with_replacement(self) -> Self:
        """The same pairs, with anchor rows drawn with replacement instead of once per epoch."""
        drawn = copy.copy(self)
        rows = len(self.dataset)
        drawn._epochs = Epochs(self.seed, rows, self._length, replacement=True)
        return drawn

    def law(self) -> dict[str, str]:
        """Facts of the card about the origin of anchors and positives."""
        return {}

    def on(self, device: torch.device) -> Pairs:  # noqa: ARG002
        """The same pairs, prepared to be drawn on a device."""
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
        """Latents of anchor rows, float64, as an array, or a tensor on the device of ``rows``."""
        if not isinstance(rows, torch.Tensor):
            return self.dataset.latents[rows].astype(np.float64)
        if rows.device not in self._tables:
            self._tables[rows.device] = torch.tensor(self.dataset.latents, device=rows.device)
        return self._tables[rows.device][rows].double()


def _roles(rule: Rule | None) -> dict[str, str]:
    """The factors of each role that the rule gives, by role."""
    found: dict[str, list[str]] = {}
    for factor, role in () if rule is None else rule.roles.items():
        found.setdefault(role, []).append(factor)
    return {role: ", ".join(factors) for role, factors in found.items()}


def _gather(dataset: ThreeDIdent, rows: Any, shared: bool) -> Any:
    """Images of rows, or the results of the data set's transform, as one batch."""
    if dataset.transform is None:
        return dataset.images(rows, shared=shared)
    return default_collate([dataset[row][0] for row in rows.tolist()])


def _each(field: Any) -> Sequence[Any]:
    """One field of a batch, split into its pairs."""
    return field.unbind() if isinstance(field, torch.Tensor) else field
