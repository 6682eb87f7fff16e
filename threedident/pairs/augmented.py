"""Positive pairs as in SimCLR: two augmentations of one image.

References:
    A Simple Framework for Contrastive Learning of Visual Representations, Chen, Kornblith,
    Norouzi, Hinton, 2020, https://arxiv.org/abs/2002.05709
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch.utils.data import Subset
from torchvision.transforms import v2

from threedident.dataset.split import ThreeDIdent
from threedident.pairs.core import Pairs
from threedident.pairs.pair import Draw

Augmentation = Callable[[torch.Tensor], torch.Tensor]

_JITTER = 0.8
_BLUR_SIGMA = (0.1, 2.0)


def simclr(resolution: int, *, bicubic: bool = False, blurred: bool = True) -> Augmentation:
    """The augmentations of SimCLR with colour strength 1: crop, flip, colour, grey, blur.

    Zimmermann et al. resized crops bicubically and did not blur.

    Arguments:
        resolution: edge of the images in pixels.
        bicubic: True to resize crops bicubically, False to resize them bilinearly.
        blurred: True to blur half of the images.
    """
    mode = v2.InterpolationMode.BICUBIC if bicubic else v2.InterpolationMode.BILINEAR
    steps: list[torch.nn.Module] = [
        v2.RandomResizedCrop(resolution, interpolation=mode, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.RandomApply([v2.ColorJitter(_JITTER, _JITTER, _JITTER, _JITTER / 4)], p=0.8),
        v2.RandomGrayscale(p=0.2),
    ]
    if blurred:
        blur = v2.GaussianBlur(max(3, resolution // 10 | 1), _BLUR_SIGMA)
        steps.append(v2.RandomApply([blur], p=0.5))
    augment: Augmentation = v2.Compose(steps)
    return augment


class AugmentedPairs(Pairs):
    """Pairs of two augmentations of each image, each once per epoch.

    Arguments:
        dataset: images and latents, or a torch ``Subset`` of them, without a transform.
        augment: function from an image (3, H, W), uint8, to an image whose shape is the same for
            all. It may use torch's global generator, which is seeded before each call and restored
            afterwards. By default :func:`simclr`.
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
        augment: Augmentation | None = None,
        *,
        seed: int = 0,
        length: int | None = None,
    ) -> None:
        super().__init__(dataset, seed, length)
        if self.dataset.transform is not None:
            raise ValueError(
                "dataset: expected one without a transform, found one; give it as augment"
            )
        self.augment = simclr(self.dataset.resolution) if augment is None else augment

    def law(self) -> dict[str, str]:
        """See :class:`threedident.pairs.core.Pairs`."""
        augment = " ".join(repr(self.augment).split())
        return {"anchors": self._epochs.law(), "two views by": augment}

    def draw(self, items: Any) -> Draw:
        """See :class:`threedident.pairs.core.Pairs`; the latents of both images are the same."""
        anchors = self._epochs.rows(items)
        z = self._latents_of(anchors)
        return Draw(anchors, anchors, z, z)

    def images(self, items: ArrayLike, draw: Draw, shared: bool) -> tuple[Any, Any]:  # noqa: ARG002
        """See :class:`threedident.pairs.core.Pairs`."""
        images = self.dataset.images(draw.anchors)
        seeds = (self._uniforms(items, 2) * 2.0**52).astype(np.int64)
        with torch.random.fork_rng(devices=[]):
            first, second = (
                torch.stack([self._view(*pair) for pair in zip(images, column, strict=True)])
                for column in seeds.T.tolist()
            )
        return first, second

    def _view(self, image: torch.Tensor, seed: int) -> torch.Tensor:
        torch.default_generator.manual_seed(seed)
        return self.augment(image)
