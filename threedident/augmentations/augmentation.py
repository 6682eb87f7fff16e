"""Base class of augmentations. A view depends only on its image and on its uniform numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor


class Augmentation(ABC):
    """A random change of images.

    Attributes:
        draws: number of uniform numbers that one view needs.
        batched: True if it works on the device of the images, False if it works on the CPU, image
            by image.
    """

    draws: int
    batched: bool = True

    @abstractmethod
    def views(self, images: Tensor, numbers: Tensor) -> Tensor:
        """One view of each image.

        Arguments:
            images: shape (B, 3, H, H), uint8.
            numbers: uniform numbers in [0, 1), shape (B, draws), float64, on the CPU, so that what
                is done to each image is known without waiting for the device of the images.

        Returns:
            The views, (B, ...), on the device of the images. A view does not depend on the other
            images.
        """


class EachImage(Augmentation):
    """A function of one image, such as a transform of torchvision.

    Arguments:
        function: function from an image (3, H, H), uint8, to a tensor whose shape is the same for
            all. It may use torch's global generator, which is seeded before each call and restored
            afterwards.
    """

    draws, batched = 1, False

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        self._function = function

    def __repr__(self) -> str:
        return " ".join(repr(self._function).split())

    def views(self, images: Tensor, numbers: Tensor) -> Tensor:
        """See :class:`Augmentation`."""
        seeds = (numbers[:, 0] * 2.0**52).long().tolist()
        with torch.random.fork_rng(devices=[]):
            return torch.stack([self._view(*each) for each in zip(images, seeds, strict=True)])

    def _view(self, image: Tensor, seed: int) -> Tensor:
        torch.default_generator.manual_seed(seed)
        return self._function(image)
