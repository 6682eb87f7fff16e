"""The network ``glimpse``: it looks at the object closely, and at the whole image coarsely.

The object is where colours differ most from the background. A crop follows it in place and in
size, from the first step on, as no learned number decides where to look. What the crop shows has
no hues: the outline of the object and its shading. So position, size and hues of the object hardly
change what the convolutions on the crop see, and its rotation does.

References:
    Recurrent Models of Visual Attention, Mnih, Heess, Graves, Kavukcuoglu, 2014,
    https://arxiv.org/abs/1406.6247
    Spatial Transformer Networks, Jaderberg, Simonyan, Zisserman, Kavukcuoglu, 2015,
    https://arxiv.org/abs/1506.02025
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

_CLOSE, _COARSE = (3, 32, 64, 128), (3, 16, 32, 32)  # channels
_EDGE, _SHARE = 24, 3 / 8  # least edge of a crop in pixels, and its edge relative to the image's
_OVERVIEW = 32  # edge of the whole image in pixels
_STRIDES = 2 ** (len(_CLOSE) - 1)
_DETAILS, _SUMMARY, _PLACE, _HIDDEN = 256, 128, 4, 256
FEATURES = _DETAILS + _SUMMARY + _PLACE + _HIDDEN
_SPREAD = 2.6  # half the side of a crop, in radii of the object
_SIDES = 0.2, 0.8  # smallest and largest half side; that of the image is 1
_POWER = 3  # of the contrast, by which pixels count for the centre
_GAIN = 3.0  # of the features of the crop, which are found last
_AROUND = 0.2  # standard deviation of the window at the object
_EPSILON = 1e-3


class Place(NamedTuple):
    """Places of objects in images. An image spans [-1, 1] on both axes.

    Arguments:
        x: centre from left to right, shape (B,).
        y: centre from top to bottom, shape (B,).
        side: half the side of a square around the object, shape (B,).
        radius: radius of a disc as large as the object, shape (B,).
    """

    x: Tensor
    y: Tensor
    side: Tensor
    radius: Tensor


class Glimpse(nn.Module):
    """The network up to its :data:`FEATURES`.

    These are the summaries of the crop and of the whole image, the place of the object, and a
    hidden layer on all of them.

    Arguments:
        shape: shape of an image, (3, H, W).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        edge = max(_EDGE, _STRIDES * round(_SHARE * min(shape[1:]) / _STRIDES))
        self._edge = edge
        first, *others = pairwise(_CLOSE)
        self.close = nn.Sequential(
            _convolution(*first),
            *(_Residual(*pair) for pair in others),
            *_dense(_CLOSE[-1] * (edge // _STRIDES) ** 2, _DETAILS),
        )
        self.coarse = nn.Sequential(*(_convolution(*pair) for pair in pairwise(_COARSE)))
        cells = (_OVERVIEW // 2 ** (len(_COARSE) - 1)) ** 2
        self.summary = nn.Sequential(*_dense(_COARSE[-1] * (cells + 2), _SUMMARY))
        self.place = nn.BatchNorm1d(_PLACE, affine=False)
        self.hidden = nn.Sequential(nn.Linear(FEATURES - _HIDDEN, _HIDDEN), nn.LeakyReLU())

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, F) of normalised images (B, 3, H, W)."""
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            planes = images.float().contiguous()  # twice as fast here as channels-last
            maps, place = _look(planes)
            crop = _crop(maps, place, self._edge)
            overview = functional.adaptive_avg_pool2d(planes, _OVERVIEW)
        cells = self.coarse(_channels_last(overview))
        around = _window(place, cells.shape[-1])
        pooled = (cells * around[:, None]).sum((2, 3)), cells.mean((2, 3))
        summary = self.summary(torch.cat([cells.flatten(1), *pooled], 1))
        close = self.close(_channels_last(crop))
        placed = self.place(torch.stack(place, 1))
        found = torch.cat([_GAIN * close, summary, placed], 1)
        return torch.cat([self.hidden(found), found], 1)


def colour_contrast(images: Tensor) -> Tensor:
    """The distance of each pixel's colour from the colour of the background, in [0, 1].

    The background has the median colour. Brightness is left out, so shadows have little contrast.

    Arguments:
        images: shape (B, 3, H, W).

    Returns:
        Shape (B, H, W). The largest contrast is that of a whole object, and not of one pixel.
    """
    colours = images - images.mean(1, keepdim=True)
    background = _median(functional.avg_pool2d(colours, 4).flatten(2))[:, :, None, None]
    contrast = (colours - background).square_().sum(1).sqrt_()
    largest = functional.avg_pool2d(contrast[:, None], 2).flatten(1).amax(1)[:, None, None]
    return contrast.div_(largest + _EPSILON).clamp_max_(1)


def locate(contrast: Tensor) -> Place:
    """The place of the object, by the mean place and the number of its pixels.

    Arguments:
        contrast: colour contrast, shape (B, H, W).
    """
    weights = contrast**_POWER
    weights = weights / (weights.sum((1, 2), keepdim=True) + _EPSILON)
    x = (weights.sum(1) * _centres(weights.shape[2], weights)).sum(1)
    y = (weights.sum(2) * _centres(weights.shape[1], weights)).sum(1)
    radius = (4 / math.pi * contrast.square().mean((1, 2))).sqrt()
    return Place(x, y, (_SPREAD * radius).clamp(*_SIDES), radius)


def visible(images: Tensor, edge: int = _EDGE) -> Tensor:
    """Crops of objects, without hues. They are the input of the convolutions.

    Arguments:
        images: normalised images, shape (B, 3, H, W).
        edge: edge of the crops in pixels.

    Returns:
        Contrast to the background, shading relative to the object's own brightness, and
        brightness, shape (B, 3, edge, edge).
    """
    maps, place = _look(images)
    return _crop(maps, place, edge)


def _look(images: Tensor) -> tuple[Tensor, Place]:
    """The maps of whole images that crops show, shape (B, 3, H, W), and the places."""
    contrast = colour_contrast(images)
    return _without_hues(images, contrast), locate(contrast)


def _without_hues(images: Tensor, contrast: Tensor) -> Tensor:
    """The maps that :func:`visible` shows, of whole images, shape (B, 3, H, W)."""
    bright = images.amax(1)
    total = contrast.sum((1, 2), keepdim=True) + _EPSILON
    mean = (contrast * bright).sum((1, 2), keepdim=True) / total
    variance = (contrast * (bright - mean).square()).sum((1, 2), keepdim=True) / total
    shading = (bright - mean).div_(variance.sqrt() + _EPSILON)
    return torch.stack([contrast, shading.clamp_(-3, 3), bright], 1)


def _crop(maps: Tensor, place: Place, edge: int) -> Tensor:
    """Squares around places, resampled to edge x edge pixels, shape (B, C, edge, edge)."""
    steps = place.side[:, None] * _centres(edge, maps)
    x, y = place.x[:, None] + steps, place.y[:, None] + steps
    across, down = x[:, None, :].expand(-1, edge, -1), y[:, :, None].expand(-1, -1, edge)
    grid = torch.stack([across, down], -1)
    return functional.grid_sample(maps, grid, padding_mode="border", align_corners=False)


def _window(place: Place, edge: int) -> Tensor:
    """Weights of edge x edge cells around the place, which sum to 1, shape (B, edge, edge)."""
    cells = _centres(edge, place.x)
    x = ((cells - place.x[:, None]) / _AROUND).square()
    y = ((cells - place.y[:, None]) / _AROUND).square()
    return (-(x[:, None, :] + y[:, :, None]) / 2).flatten(1).softmax(1).view(-1, edge, edge)


def _centres(count: int, like: Tensor) -> Tensor:
    """The centres of pixels along an axis from -1 to 1."""
    return (2 * torch.arange(count, device=like.device, dtype=like.dtype) + 1) / count - 1


def _median(values: Tensor) -> Tensor:
    """The median along the last axis; of two in the middle the lower one, as in torch.

    ONNX has no median.
    """
    lower = (values.shape[-1] + 1) // 2
    return values.topk(lower, largest=False, sorted=False).values.amax(-1)


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def _convolution(channels: int, outputs: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, outputs, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.LeakyReLU())


def _dense(numbers: int, outputs: int) -> tuple[nn.Module, ...]:
    linear = nn.Linear(numbers, outputs, bias=False)
    return nn.Flatten(), linear, nn.BatchNorm1d(outputs), nn.LeakyReLU()


class _Residual(nn.Module):
    """A residual block of stride 2."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        last = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.block = nn.Sequential(_convolution(channels, outputs), last, nn.BatchNorm2d(outputs))
        short = nn.Conv2d(channels, outputs, 1, 2, bias=False)
        self.short = nn.Sequential(short, nn.BatchNorm2d(outputs))

    def forward(self, images: Tensor) -> Tensor:
        """Shape (B, C, H, W) to (B, outputs, H / 2, W / 2)."""
        return functional.leaky_relu(self.block(images) + self.short(images), 0.01)
