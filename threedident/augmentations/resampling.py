"""Crops, flips and blurs as matrices, each image of a batch with its own, on the CPU or a GPU.

A crop is resized, and a blur applied, by one matrix along the columns and one along the rows.
Their weights are integers over 2^14. All products and sums are then integers below 2^24, which
float32 holds exactly, so the results are the same on any device and in any batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from threedident.augmentations.colour import levels

_ONE = 2.0**14


def crop_weights(start: Tensor, length: Tensor, size: int, *, bicubic: bool) -> Tensor:
    """Matrices that resize a part of each axis to the whole axis, as antialiased resizing does.

    Arguments:
        start: first pixel of each part, shape (B,).
        length: pixels of each part, at most ``size``, shape (B,).
        size: pixels of the axis.
        bicubic: True for Keys' cubic filter with a = -1/2, False for the linear filter.

    Returns:
        Shape (B, size, size), from pixels of the axis (last) to pixels of the result.
    """
    pixels = torch.arange(size, dtype=torch.float64, device=start.device)
    first, count = start.double()[:, None], length.double()[:, None]
    centres = first + (pixels + 0.5) * (count / size)
    apart = (pixels + 0.5 - centres[:, :, None]).abs_()
    weights = _cubic(apart) if bicubic else (1 - apart).clamp_(min=0)
    inside = (pixels >= first) & (pixels < first + count)
    return _normalised(weights * inside[:, None])


def blur_weights(deviations: Tensor, radius: int, size: int) -> Tensor:
    """Matrices that blur an axis by a Gaussian, mirrored at its ends.

    Arguments:
        deviations: standard deviation of each Gaussian in pixels, shape (B,).
        radius: pixels on each side that count, less than ``size``.
        size: pixels of the axis.

    Returns:
        Shape (B, size, size), from pixels of the axis (last) to pixels of the result.
    """
    device = deviations.device
    steps = torch.arange(-radius, radius + 1, device=device)
    bells = torch.exp(-0.5 * (steps / deviations.double()[:, None]) ** 2)
    pixels = torch.arange(size, device=device)
    places = (pixels[:, None] + steps).abs()
    places = torch.where(places < size, places, 2 * (size - 1) - places)
    weights = bells.new_zeros(len(bells), size, size)
    shape = len(bells), *places.shape
    weights.scatter_add_(2, places.expand(shape), bells[:, None].expand(shape))
    return _normalised(weights)


def resample(images: Tensor, columns: Tensor, rows: Tensor) -> Tensor:
    """Images through a matrix along the columns, then through one along the rows.

    Arguments:
        images: levels, shape (B, H, 3, H), float32.
        columns: matrices, shape (B, H, H), see :func:`crop_weights`.
        rows: matrices, shape (B, H, H).
    """
    count, size = images.shape[:2]
    across = _product(images.reshape(count, 3 * size, size), columns.mT, second=True)
    across = levels(across.div_(_ONE)).view(count, size, 3 * size)
    return levels(_product(rows, across).div_(_ONE)).view(count, size, 3, size)


def _product(first: Tensor, other: Tensor, *, second: bool = False) -> Tensor:
    """Exact products of weights, ``first`` or the second factor, and levels.

    On a GPU, weights are split into parts of 7 bits, which TF32 holds, too, if it is switched on.
    """
    if first.device.type == "cpu":
        return torch.bmm(first, other)
    weights = other if second else first
    high = (weights / 2.0**7).round()
    low = weights - high * 2.0**7
    if second:
        return torch.bmm(first, high).mul_(2.0**7).add_(torch.bmm(first, low))
    return torch.bmm(high, other).mul_(2.0**7).add_(torch.bmm(low, other))


def _cubic(apart: Tensor) -> Tensor:
    near = (1.5 * apart - 2.5) * apart**2 + 1
    far = ((2.5 - 0.5 * apart) * apart - 4) * apart + 2
    return torch.where(apart < 1, near, torch.where(apart < 2, far, 0.0))


def _normalised(weights: Tensor) -> Tensor:
    return (weights / weights.sum(2, keepdim=True) * _ONE).round_().float()
