"""The augmentations of SimCLR: crop, flip, colour, grey, blur.

References:
    A Simple Framework for Contrastive Learning of Visual Representations, Chen, Kornblith,
    Norouzi, Hinton, 2020, https://arxiv.org/abs/2002.05709
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor

from threedident.augmentations import colour
from threedident.augmentations.augmentation import Augmentation
from threedident.augmentations.resampling import blur_weights, crop_weights, resample

_TRIALS = 10  # crops that are drawn until one fits
_AREAS, _RATIOS = (0.08, 1.0), (3 / 4, 4 / 3)
_FLIPPED, _JITTERED, _GREY, _BLURRED = 0.5, 0.8, 0.2, 0.5  # probabilities
_JITTER = 0.8  # of brightness, contrast and saturation, at colour strength 1
_TURN = 0.2  # of hue, in turns
_DEVIATIONS = (0.1, 2.0)  # of blurs, in pixels
_JITTERS = (colour.brightness, colour.contrast, colour.saturation, colour.hue)
_ORDERS = tuple(permutations(range(len(_JITTERS))))
_TOGETHER = 64  # images that a CPU's cache holds
_TOGETHER_ON_GPU = 256  # to limit memory


@dataclass(frozen=True)
class SimCLR(Augmentation):
    """The augmentations of SimCLR with colour strength 1.

    The laws are those of torchvision's ``RandomResizedCrop``, ``RandomHorizontalFlip``,
    ``ColorJitter``, ``RandomGrayscale`` and ``GaussianBlur``. Zimmermann et al. resized crops
    bicubically and did not blur.

    Arguments:
        bicubic: True to resize crops bicubically, False to resize them bilinearly.
        blurred: True to blur half of the images.
    """

    bicubic: bool = False
    blurred: bool = True

    draws = 2 * _TRIALS + 12

    def views(self, images: Tensor, numbers: Tensor) -> Tensor:
        """See :class:`Augmentation`. Views are uint8 and channels-last in memory."""
        kind = images.device.type
        together = _TOGETHER if kind == "cpu" else _TOGETHER_ON_GPU
        parts = zip(torch.split(images, together), torch.split(numbers, together), strict=True)
        with torch.no_grad(), torch.autocast(kind, enabled=False):
            return torch.cat([self._views(*part) for part in parts])

    def _views(self, images: Tensor, numbers: Tensor) -> Tensor:
        places, rest = torch.split(numbers, [2 * _TRIALS + 2, 10], dim=1)
        flip, jitter, order, *factors, gray, blur, deviation = rest.unbind(1)
        found = images.permute(0, 2, 1, 3).float()  # (B, H, 3, W)
        found = self._crop(found, places, flip < _FLIPPED)
        _jitter(found, jitter < _JITTERED, order, factors)
        some = _moved((gray < _GREY).nonzero()[:, 0], found)
        found[some] = colour.levels(colour.grey(found[some])).expand(-1, -1, 3, -1)
        if self.blurred:
            blurred, size = blur < _BLURRED, images.shape[2]
            deviations = _moved(_within(_DEVIATIONS, deviation[blurred]), found)
            matrices = blur_weights(deviations, _radius(size), size)
            some = _moved(blurred.nonzero()[:, 0], found)
            found[some] = resample(found[some], matrices, matrices)
        views = found.to(torch.uint8).permute(0, 2, 1, 3)
        return views.contiguous(memory_format=torch.channels_last)

    def _crop(self, images: Tensor, numbers: Tensor, flipped: Tensor) -> Tensor:
        size = images.shape[1]
        places = _moved(torch.stack(crop_places(numbers, size)), images)
        top, left, height, width = places
        rows = crop_weights(top, height, size, bicubic=self.bicubic)
        columns = crop_weights(left, width, size, bicubic=self.bicubic)
        columns = torch.where(_moved(flipped, images)[:, None, None], columns.flip(1), columns)
        return resample(images, columns, rows)


def crop_places(numbers: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random crops: the first of ten that fits into the image, or else the whole image.

    Arguments:
        numbers: uniform numbers, shape (B, 22).
        size: pixels of the image's edge.

    Returns:
        Top, left, height and width in pixels, each of shape (B,), int64.
    """
    areas, logs, corners = torch.split(numbers, [_TRIALS, _TRIALS, 2], dim=1)
    area = _within(_AREAS, areas) * size**2
    ratio = _within((math.log(_RATIOS[0]), math.log(_RATIOS[1])), logs).exp()
    edges = torch.stack(((area / ratio).sqrt(), (area * ratio).sqrt())).round().long()
    fits = ((edges > 0) & (edges <= size)).all(0)
    first = fits.byte().argmax(1, keepdim=True)
    chosen = edges.gather(2, first.expand(2, -1, -1))[:, :, 0]
    height, width = torch.where(fits.any(1), chosen, size)
    top, left = ((size - edge + 1) * u for edge, u in zip((height, width), corners.T, strict=True))
    return top.long(), left.long(), height, width


def _jitter(images: Tensor, jittered: Tensor, order: Tensor, factors: list[Tensor]) -> None:
    """Change brightness, contrast, saturation and hue in a random order, in place."""
    orders = torch.tensor(_ORDERS)[(order * len(_ORDERS)).long()]
    scales = [(1 - _JITTER, 1 + _JITTER)] * 3 + [(-_TURN, _TURN)]
    drawn = [_within(scale, u).float() for scale, u in zip(scales, factors, strict=True)]
    for turn in orders.T:
        for number, change in enumerate(_JITTERS):
            some = (jittered & (turn == number)).nonzero()[:, 0]
            if len(some):
                there = _moved(some, images)
                images[there] = change(images[there], _moved(drawn[number][some], images))


def _moved(values: Tensor, images: Tensor) -> Tensor:
    """Values of the CPU on the device of the images, without waiting for it."""
    return values.to(images.device, non_blocking=True)


def _within(ends: tuple[float, float], numbers: Tensor) -> Tensor:
    return ends[0] + (ends[1] - ends[0]) * numbers


def _radius(size: int) -> int:
    """Pixels on each side of a blur: its kernel is a tenth of the image, and at least 3 wide."""
    return max(3, size // 10 | 1) // 2
