"""Changes of colour, each image of a batch by its own factor, on the CPU or a GPU.

Images are levels from 0 to 255, float32, shape (B, H, 3, W). The formulas are those of
torchvision's functions for uint8, up to two levels, since levels are rounded here and cut off
there. Sums are taken of integers alone, so the results are the same in any batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

_WEIGHTS = (0.2989, 0.587, 0.114)  # of red, green and blue in grey, from ITU-R BT.601
_LEVELS = 255


def levels(images: Tensor) -> Tensor:
    """The nearest levels, in place."""
    return images.round_().clamp_(0, _LEVELS)


def grey(images: Tensor) -> Tensor:
    """Grey values, shape (B, H, 1, W), not rounded."""
    red, green, blue = (
        part * weight for part, weight in zip(torch.split(images, 1, 2), _WEIGHTS, strict=True)
    )
    return red.add_(green).add_(blue)


def brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Images times a factor each, factors of shape (B,)."""
    return levels(images * _each(factors))


def contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Images whose differences from their mean grey are multiplied by a factor each."""
    mean = grey(images).round_().mean((1, 2, 3), dtype=torch.float64).float()
    return levels((images * _each(factors)).add_(_each((1 - factors) * mean)))


def saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Images whose differences from their own grey are multiplied by a factor each."""
    shade = grey(images).mul_(_each(1 - factors))
    return levels((images * _each(factors)).add_(shade))


def hue(images: Tensor, shifts: Tensor) -> Tensor:
    """Images whose hue in HSV is turned, shifts of shape (B,) in turns."""
    red, green, blue = torch.split(images, 1, 2)
    value, spread = images.amax(2, keepdim=True), images.amin(2, keepdim=True)
    spread = value - spread
    scale = spread.clamp_min(1).reciprocal_()
    # sixths of a turn from red: of two colours that are both the largest, the first decides
    turns = (red - green).mul_(scale).add_(4)
    turns = torch.where(green == value, (blue - red).mul_(scale).add_(2), turns)
    turns = torch.where(red == value, (green - blue).mul_(scale), turns)
    turns.add_(_each(6 * shifts))
    parts = []
    for start in (5, 3, 1):
        ramp = (turns + start).remainder_(6)
        ramp = torch.minimum(ramp, 4 - ramp).clamp_(0, 1).mul_(spread)
        parts.append(value - ramp)
    return levels(torch.cat(parts, 2))


def _each(factors: Tensor) -> Tensor:
    return factors[:, None, None, None]
