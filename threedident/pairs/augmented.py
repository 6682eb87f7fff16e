"""Positive pairs as in SimCLR: two augmentations of one image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Subset

from threedident.augmentations.augmentation import Augmentation, EachImage
from threedident.augmentations.simclr import SimCLR
from threedident.dataset.split import ThreeDIdent
from threedident.pairs.core import Pairs
from threedident.pairs.pair import Draw


class AugmentedPairs(Pairs):
    """Pairs of two augmentations of each image, each once per epoch.

    Arguments:
        dataset: images and latents, or a torch ``Subset`` of them, without a transform.
        augment: an augmentation, by default that of
            :class:`threedident.augmentations.simclr.SimCLR`; or a function from an image
            (3, H, W), uint8, to an image whose shape is the same for all, which works on the CPU,
            image by image. It may use torch's global generator, which is seeded before each call
            and restored afterwards.
        seed: from 0 to 2^63 - 1. An item depends only on the seed, the epoch and its number.
        length: number of pairs per epoch, by default one per image. Item k does not depend on it.

    Raises:
        ValueError: the data set has a transform.

    Example:
        pairs = AugmentedPairs(ThreeDIdent("data/3dident"))
    """

    changes_images = True

    def __init__(
        self,
        dataset: ThreeDIdent | Subset[Any],
        augment: Augmentation | Callable[[Tensor], Tensor] | None = None,
        *,
        seed: int = 0,
        length: int | None = None,
    ) -> None:
        super().__init__(dataset, seed, length)
        if self.dataset.transform is not None:
            raise ValueError(
                "dataset: expected one without a transform, found one; give it as augment"
            )
        augment = SimCLR() if augment is None else augment
        self.augment = augment if isinstance(augment, Augmentation) else EachImage(augment)

    @property
    def batched(self) -> bool:
        """See :class:`threedident.pairs.core.Pairs`."""
        return self.augment.batched

    def law(self) -> dict[str, str]:
        """See :class:`threedident.pairs.core.Pairs`."""
        return {"anchors": self._epochs.law(), "two views by": repr(self.augment)}

    def draw(self, items: Any) -> Draw:
        """See :class:`threedident.pairs.core.Pairs`; the latents of both images are the same."""
        anchors = self._epochs.rows(items)
        z = self._latents_of(anchors)
        return Draw(anchors, anchors, z, z)

    def shown(self, items: NDArray[np.int64], image: Any, positive: Any) -> tuple[Any, Any]:
        """See :class:`threedident.pairs.core.Pairs`."""
        draws = self.augment.draws
        numbers = torch.from_numpy(self._uniforms(items, 2 * draws))
        first, second = torch.split(numbers, draws, dim=1)
        return self.augment.views(image, first), self.augment.views(positive, second)
