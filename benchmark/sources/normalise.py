"""Normalisation of images, the first step of every encoder of images."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Normalise(nn.Module):
    """Normalisation of uint8 images by the mean and the standard deviation of the train split.

    Arguments:
        mean: mean of each channel over the train split, for values in [0, 1], shape (3,).
        std: standard deviation of each channel over all pixels, or the mean of the images' own,
            for values in [0, 1], shape (3,).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: NDArray[np.float64], std: NDArray[np.float64]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            tensor = torch.tensor(255.0 * values, dtype=torch.float32).view(3, 1, 1)
            self.register_buffer(name, tensor)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images, shape (B, 3, H, W), float32, channels-last in memory."""
        scaled = images.to(torch.float32, copy=True).sub_(self.mean).div_(self.std)
        return scaled.contiguous(memory_format=torch.channels_last)
