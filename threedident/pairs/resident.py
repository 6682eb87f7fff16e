"""Images and pairs in the memory of the encoder's device, without loader processes.

On a CPU the file of packed images is mapped into memory. On a GPU all images are copied once.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from threedident.dataset.split import ThreeDIdent
from threedident.pairs.core import Pairs
from threedident.pairs.loader import Loader
from threedident.pairs.pair import Pair
from threedident.runtime.cards import Card
from threedident.runtime.files import spell_bytes

_SPARED = 0.5  # share of a GPU's free memory for images; the rest is left for the encoder


class ResidentImages:
    """The packed images of a split on one device, and their latents.

    Arguments:
        dataset: a split without a transform.
        device: device that holds them.

    Raises:
        ValueError: the images are not packed, the data set has a transform, or they do not fit
            into the device's memory.
    """

    def __init__(self, dataset: ThreeDIdent, device: torch.device | str) -> None:
        device = torch.device(device)
        _require([dataset], device)
        assert dataset.pack is not None
        with warnings.catch_warnings():  # torch warns about read-only memory, which is intended
            warnings.simplefilter("ignore", UserWarning)
            pixels = torch.from_numpy(dataset.pack.mapped())
        self._rows: torch.Tensor | None = None
        if dataset.rows is not None and device.type == "cpu":
            self._rows = torch.from_numpy(dataset.rows)
        elif dataset.rows is not None:
            pixels = pixels[torch.from_numpy(dataset.rows)]  # the GPU holds only these
        self._pixels = pixels.to(device)
        self._latents = torch.from_numpy(dataset.latents.copy()).to(device)

    def images(self, rows: torch.Tensor) -> torch.Tensor:
        """Images of rows (B,), on the device, shape (B, 3, H, W), uint8, channels-last."""
        places = rows if self._rows is None else self._rows[rows]
        return self._pixels.index_select(0, places).permute(0, 3, 1, 2)

    def latents(self, rows: torch.Tensor) -> torch.Tensor:
        """Latents of rows (B,) on the device, shape (B, d), float32."""
        return self._latents.index_select(0, rows)


class ResidentPairs(Card):
    """Pairs that are drawn on the CPU, and gathered on one device.

    The batches equal those of the pairs' own loader. The CPU prepares a batch while the device
    computes, unless an exact index searches on the GPU or the pairs follow a rule.

    Arguments:
        pairs: pairs of packed images.
        device: device on which to make them.

    Raises:
        ValueError: see :class:`ResidentImages`; or the images of the pairs are made one by one on
            the CPU.
    """

    def __init__(self, pairs: Pairs, device: torch.device | str) -> None:
        if not isinstance(pairs, Pairs):
            raise ValueError(
                f"pairs: expected pairs such as PositivePairs, found {type(pairs).__name__}; make "
                "them of the data set first"
            )
        device = torch.device(device)
        splits = _splits(pairs)
        _require(splits, device)
        self._pairs, self._device = pairs.on(device), device
        sides = [ResidentImages(split, device) for split in splits]
        self._anchors, self._positives = sides[0], sides[-1]

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        return {"device": str(self._device), **self._pairs.card()}

    def batch(self, items: range | NDArray[np.int64], *, latents: bool = True) -> Pair:
        """Like :meth:`threedident.pairs.core.Pairs.batch`, with tensors on the device."""
        return self._pairs.marked(self._batch(items, latents), items)

    def _batch(self, items: range | NDArray[np.int64], latents: bool) -> Pair:
        numbers = np.asarray(items, np.int64)
        draw = self._pairs.draw(numbers)  # on the CPU, while the device works on earlier batches
        rows = [moved(side, self._device) for side in (draw.anchors, draw.positives)]
        sides = (self._anchors, rows[0]), (self._positives, rows[1])
        image, positive = (side.images(there) for side, there in sides)
        image, positive = self._pairs.shown(numbers, image, positive)
        if not latents:
            return Pair(image, positive, None, None)
        return Pair(image, positive, *(side.latents(there) for side, there in sides))

    def batches(
        self,
        batch_size: int,
        *,
        first: int = 0,
        steps: int | None = None,
        rank: int = 0,
        world_size: int = 1,
        latents: bool = True,
        drop_last: bool = False,
    ) -> Loader[Pair]:
        """Like :meth:`threedident.pairs.core.Pairs.loader`, with tensors on the device."""

        def load(numbers: list[range]) -> Iterator[Pair]:
            return (self._batch(items, latents) for items in numbers)

        return self._pairs.loader_of(
            load,
            batch_size,
            first=first,
            steps=steps,
            rank=rank,
            world_size=world_size,
            drop_last=drop_last,
        )


def moved(rows: NDArray[np.int64], device: torch.device) -> torch.Tensor:
    """Rows on a device, without waiting for it."""
    here = torch.from_numpy(rows)
    if device.type == "cuda":
        here = here.pin_memory()
    return here.to(device, non_blocking=True)


def fits(images: ThreeDIdent | Pairs, device: torch.device) -> bool:
    """True if :class:`ResidentImages` or :class:`ResidentPairs` can be made of ``images``."""
    try:
        _require(_splits(images), device)
    except ValueError:
        return False
    return True


def _splits(images: ThreeDIdent | Pairs) -> list[ThreeDIdent]:
    """The splits whose images are needed, that of the anchors first.

    Raises:
        ValueError: the images of the pairs are made one by one on the CPU.
    """
    if isinstance(images, ThreeDIdent):
        return [images]
    if not images.batched:
        raise ValueError(
            "pairs: expected pairs whose images are made in batches, found "
            f"{type(images).__name__} by a function of one image, which works on the CPU; use "
            "their loader"
        )
    same = images.positives is images.dataset
    return [images.dataset] if same else [images.dataset, images.positives]


def _require(splits: Sequence[ThreeDIdent], device: torch.device) -> None:
    """Check that a device can hold the images of all splits together.

    Raises:
        ValueError: a split has a transform or no pack, or the images do not fit.
    """
    for split in splits:
        if split.transform is not None:
            raise ValueError(
                f"{split.folder.path}: expected a data set without a transform, found one, which "
                "works on the CPU; use a loader, or transform batches"
            )
        if split.pack is None:
            raise ValueError(
                f"{split.folder.packed}: expected a pack of {split.resolution} pixels, found "
                "none; threedident pack makes one"
            )
    if device.type != "cuda":
        return
    needed = sum(3 * len(split) * split.resolution**2 for split in splits)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # by torch
    room = _SPARED * (torch.cuda.mem_get_info(device)[0] + kept)
    if needed > room:
        raise ValueError(
            f"{splits[0].folder.path}: expected at most {spell_bytes(room)} of packed images, "
            f"half of what is free on {device}, found {spell_bytes(needed)}; pack them with a "
            "lower --resolution, or use a loader"
        )
