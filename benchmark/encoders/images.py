"""Convolutional networks for images, see :mod:`benchmark.encoders.networks`."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import nn

from benchmark.encoders.glimpse import FEATURES, Glimpse
from benchmark.encoders.headed import Headed, Widths

_WIDTH = 10
_CHANNELS = (32, 64, 128, 256)
_KITTI_CHANNELS = (32, 32, 64, 64)
_KITTI_WIDTH, _KITTI_EDGE = 256, 64


def resnet(name: str, shape: tuple[int, ...], widths: Widths) -> nn.Module:
    """A network of torchvision, followed by a LeakyReLU."""
    from torchvision import models  # slow to import, and needed only here

    width = widths.features or _WIDTH * widths.codes
    backbone = getattr(models, name)(weights=None, num_classes=width)
    channels = _image_channels(name, shape)
    if channels != backbone.conv1.in_channels:
        stem = backbone.conv1
        backbone.conv1 = nn.Conv2d(
            channels, stem.out_channels, stem.kernel_size, stem.stride, stem.padding, bias=False
        )
    return Headed(backbone, nn.LeakyReLU(), widths.head(width))


def conv(shape: tuple[int, ...], widths: Widths) -> nn.Module:
    """Convolutions of stride 2 with BatchNorm, and one hidden layer."""
    channels = (_image_channels("conv", shape), *_CHANNELS)
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(channels):
        conv = nn.Conv2d(wide, narrow, 3, stride=2, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(narrow), nn.LeakyReLU()]
    sides = [-(-side // 2 ** len(_CHANNELS)) for side in shape[1:]]
    hidden = widths.features or 2 * _WIDTH * widths.codes
    return Headed(
        *layers,
        nn.Flatten(),
        nn.Linear(_CHANNELS[-1] * math.prod(sides), hidden),
        nn.LeakyReLU(),
        widths.head(hidden),
    )


def kitti(shape: tuple[int, ...], widths: Widths) -> nn.Module:
    """The published network for KITTI Masks."""
    channels = (_image_channels("kitti-conv", shape), *_KITTI_CHANNELS)
    _refuse_features(widths, "kitti-conv, which is as published")
    if min(shape[1:]) < _KITTI_EDGE:
        raise ValueError(
            f"encoder: expected images of at least {_KITTI_EDGE} x {_KITTI_EDGE} pixels for "
            f"kitti-conv, found {shape[1]} x {shape[2]}; take conv"
        )
    convs = [nn.Conv2d(*pair, 4, stride=2, padding=1) for pair in pairwise(channels)]
    convs.append(nn.Conv2d(channels[-1], _KITTI_WIDTH, 4))
    places = math.prod(edge // 2 ** len(_KITTI_CHANNELS) - 3 for edge in shape[1:])
    rectified = [part for conv in convs for part in (conv, nn.ReLU())]
    network = Headed(*rectified, nn.Flatten(), widths.head(_KITTI_WIDTH * places))
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network


def glimpse(shape: tuple[int, ...], widths: Widths) -> nn.Module:
    """A crop that follows the object, beside the whole image."""
    if len(shape) != 3 or shape[0] != 3:
        raise ValueError(
            f"encoder: expected images with three colours for glimpse, found observations of "
            f"shape {shape}; take {'conv' if len(shape) == 3 else 'mlp'}"
        )
    _refuse_features(widths, f"glimpse, which has {FEATURES}")
    return Headed(Glimpse(shape), widths.head(FEATURES))


def _refuse_features(widths: Widths, encoder: str) -> None:
    if widths.features is not None:
        raise ValueError(
            "--features: expected with an encoder whose layers may have any width, found it with "
            f"{encoder}; leave it out"
        )


def _image_channels(name: str, shape: tuple[int, ...]) -> int:
    if len(shape) != 3:
        raise ValueError(
            f"encoder: expected images for {name}, found observations of shape {shape}; take mlp"
        )
    return shape[0]
