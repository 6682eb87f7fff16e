"""Encoders f: networks given by name or by an import path, followed by an output space.

- ``resnet18`` to ``resnet152``: networks of torchvision, not pretrained, with 10 n outputs,
  followed by a LeakyReLU and a linear layer to n codes, as in the paper.
- ``conv``: a small convolutional network, for small images and CPUs.
- ``kitti-conv``: the published network for KITTI Masks, four 4 x 4 convolutions of stride 2 to
  32, 32, 64 and 64 channels, one 4 x 4 convolution to 256, all with ReLU, and a linear layer.
  Weights start from Kaiming's initialisation. There is no BatchNorm.
- ``mlp``: the network of the mixing experiments, with hidden widths 10 n, 50 n (four times) and
  10 n.
- ``identity``: the observations are the codes.
- ``package.module:Name``: a custom class or function. It is called with the number of codes n and
  returns a module that maps observations (B, ...) to codes (B, n).

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from benchmark.encoders.custom import Checked, imported, is_custom, made, require_gradient
from benchmark.encoders.output_spaces import OUTPUT_SPACES, find_extent
from benchmark.protocol import OURS, Procedure
from threedident.runtime.errors import unknown

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
ENCODERS = (*RESNETS, "conv", "kitti-conv", "mlp", "identity")
_WIDTH = 10
_CHANNELS = (32, 64, 128, 256)
_KITTI_CHANNELS = (32, 32, 64, 64)
_KITTI_WIDTH, _KITTI_EDGE = 256, 64
_HIDDEN = (10, 50, 50, 50, 50, 10)
_TRIED = 2


def build_encoder(
    name: str,
    shape: tuple[int, ...],
    codes: int,
    output_space: str,
    seed: int,
    extent: float | None = None,
    procedure: Procedure = OURS,
) -> nn.Sequential:
    """An encoder that maps preprocessed observations (B, ...) to codes (B, codes).

    Arguments:
        name: one of :data:`ENCODERS`, or an import path.
        shape: shape of one observation.
        codes: number of codes n.
        output_space: one of :data:`benchmark.encoders.output_spaces.OUTPUT_SPACES`.
        seed: seed of the initial weights. The global generator of torch stays unchanged.
        extent: extent of the output space; None for the default of that space.
        procedure: procedure that decides the initialisation of the MLP, and whether learned
            extents are linear.

    Raises:
        ValueError: the name is unknown, or the network does not fit the observations.
    """
    linear = procedure.linear_extents
    size = find_extent(output_space, extent, linear) or 0.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _find(name)(shape, codes)
        if name == "mlp" and procedure.torch_initialisation:
            _reset(network)
        checked = Checked(name, network, codes)
        with torch.no_grad():
            checked.eval()(torch.zeros(_TRIED, *shape))
    kept = checked.train() if is_custom(name) else network.train()
    return nn.Sequential(kept, OUTPUT_SPACES[output_space].build(codes, size, linear))


def require_known(name: str) -> None:
    """Check that a name is the name of an encoder or an import path.

    Raises:
        ValueError: it is neither.
    """
    if not is_custom(name) and name not in ENCODERS:
        advice = "take one of these, or an import path such as my_package.nets:MyNet"
        raise ValueError(unknown("encoder", name, ENCODERS, advice))


def require_trainable(name: str, shape: tuple[int, ...], encoder: nn.Sequential) -> None:
    """Check that the network of an encoder can be trained, apart from its output space.

    Arguments:
        name: name of the encoder.
        shape: shape of one observation.
        encoder: an encoder made by :func:`build_encoder`.

    Raises:
        ValueError: the network has no trainable parameters, or its codes have no gradient.
    """
    network = encoder[0]
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError(
            f"encoder: expected one with parameters to train, found none in {name}; give "
            "--steps 0 to score it as it is"
        )
    if isinstance(network, Checked):
        require_gradient(network, torch.zeros(_TRIED, *shape))


class _Codes(nn.Linear):
    """The last linear layer, in float32. With bf16 there would be only a few hundred values."""

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return super().forward(features.float())


def _find(name: str) -> Callable[[tuple[int, ...], int], nn.Module]:
    """The function that makes a network from an observation's shape and the number of codes."""
    if is_custom(name):
        make = imported(name)
        return lambda _, codes: made(name, make, codes)
    if name in RESNETS:
        return lambda shape, codes: _resnet(name, shape, codes)
    require_known(name)
    return {"conv": _conv, "kitti-conv": _kitti, "mlp": _mlp, "identity": _identity}[name]


def _resnet(name: str, shape: tuple[int, ...], codes: int) -> nn.Module:
    from torchvision import models  # slow to import, and needed only here

    backbone = getattr(models, name)(weights=None, num_classes=_WIDTH * codes)
    channels = _image_channels(name, shape)
    if channels != backbone.conv1.in_channels:
        stem = backbone.conv1
        backbone.conv1 = nn.Conv2d(
            channels, stem.out_channels, stem.kernel_size, stem.stride, stem.padding, bias=False
        )
    return nn.Sequential(backbone, nn.LeakyReLU(), _Codes(_WIDTH * codes, codes))


def _conv(shape: tuple[int, ...], codes: int) -> nn.Module:
    """Convolutions of stride 2 with BatchNorm, and one hidden layer."""
    channels = (_image_channels("conv", shape), *_CHANNELS)
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(channels):
        conv = nn.Conv2d(wide, narrow, 3, stride=2, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(narrow), nn.LeakyReLU()]
    sides = [-(-side // 2 ** len(_CHANNELS)) for side in shape[1:]]
    hidden = 2 * _WIDTH * codes
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(_CHANNELS[-1] * math.prod(sides), hidden),
        nn.LeakyReLU(),
        _Codes(hidden, codes),
    )


def _kitti(shape: tuple[int, ...], codes: int) -> nn.Module:
    channels = (_image_channels("kitti-conv", shape), *_KITTI_CHANNELS)
    if min(shape[1:]) < _KITTI_EDGE:
        raise ValueError(
            f"encoder: expected images of at least {_KITTI_EDGE} x {_KITTI_EDGE} pixels for "
            f"kitti-conv, found {shape[1]} x {shape[2]}; take conv"
        )
    convs = [nn.Conv2d(*pair, 4, stride=2, padding=1) for pair in pairwise(channels)]
    convs.append(nn.Conv2d(channels[-1], _KITTI_WIDTH, 4))
    places = math.prod(edge // 2 ** len(_KITTI_CHANNELS) - 3 for edge in shape[1:])
    head = _Codes(_KITTI_WIDTH * places, codes)
    rectified = [part for conv in convs for part in (conv, nn.ReLU())]
    network = nn.Sequential(*rectified, nn.Flatten(), head)
    for name, values in network.named_parameters():
        if name.endswith("weight"):
            nn.init.kaiming_normal_(values)
        else:
            nn.init.zeros_(values)
    return network


def _mlp(shape: tuple[int, ...], codes: int) -> nn.Module:
    widths = [math.prod(shape), *(factor * codes for factor in _HIDDEN)]
    layers: list[nn.Module] = [nn.Flatten()]
    for wide, narrow in pairwise(widths):
        layers += [_he(nn.Linear(wide, narrow)), nn.LeakyReLU()]
    return nn.Sequential(*layers, _Codes(widths[-1], codes))


def _he(layer: nn.Linear) -> nn.Linear:
    """The layer with weights that keep the variance of its inputs if a LeakyReLU follows.

    With the default weights of torch, seven layers shrink all codes to almost one point, and
    training stays long on plateaus.
    """
    nn.init.kaiming_normal_(layer.weight, nonlinearity="leaky_relu", a=0.01)
    nn.init.zeros_(layer.bias)
    return layer


def _reset(network: nn.Module) -> None:
    """Draw the weights of all linear layers again, as torch does by default."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()


def _identity(shape: tuple[int, ...], codes: int) -> nn.Module:
    if math.prod(shape) != codes:
        raise ValueError(
            f"encoder: expected observations of {codes} numbers, one for each code, for "
            f"identity, found shape {shape}; take another encoder"
        )
    return nn.Flatten()


def _image_channels(name: str, shape: tuple[int, ...]) -> int:
    if len(shape) != 3:
        raise ValueError(
            f"encoder: expected images for {name}, found observations of shape {shape}; take mlp"
        )
    return shape[0]
