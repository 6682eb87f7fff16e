"""Encoders f: networks by name, or by the import path of one's own, under an output space.

- ``resnet18`` to ``resnet152``: torchvision's, not pretrained, to 10 n outputs, then a LeakyReLU
  and a linear layer to n codes, as in the paper.
- ``conv``: a light convolutional net, for small images and CPUs.
- ``mlp``: of the mixing experiments, with hidden widths 10 n, 50 n (four times) and 10 n.
- ``identity``: observations are the codes.
- ``package.module:Name``: called with the number of codes, makes a module from observations
  (B, ...) to (B, n).
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn

from benchmark.spaces import OUTPUT_SPACES, find_extent

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
ENCODERS = (*RESNETS, "conv", "mlp", "identity")
_WIDTH = 10
_CHANNELS = (32, 64, 128, 256)
_HIDDEN = (10, 50, 50, 50, 50, 10)
_TRIED = 2


def build_encoder(
    name: str,
    shape: tuple[int, ...],
    codes: int,
    output_space: str,
    seed: int,
    extent: float | None = None,
) -> nn.Sequential:
    """An encoder from preprocessed observations (B, ...) to codes (B, codes).

    Arguments:
        name: one of :data:`ENCODERS`, or an import path.
        shape: of one observation.
        codes: number of codes n.
        output_space: one of :data:`benchmark.spaces.OUTPUT_SPACES`.
        seed: of the initial weights; torch's global generator is left as it was.
        extent: of the output space; by default its own.

    Raises:
        ValueError: an unknown name, or a network that does not fit the observations.
    """
    size = find_extent(output_space, extent) or 0.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        make = _find(name)
        network = make(shape, codes)
        checked = _Checked(name, network, codes)
        blank = torch.zeros(_TRIED, *shape)
        with torch.no_grad():
            checked.eval()(blank)
        if is_custom(name):
            _require_gradient(_Checked(name, make(shape, codes), codes), blank)
            network = checked  # in training, too: it may do otherwise there
    return nn.Sequential(network.train(), OUTPUT_SPACES[output_space].build(codes, size))


def is_custom(name: str) -> bool:
    """Whether an encoder is one's own, named by its import path."""
    return ":" in name


def require_trainable(name: str, encoder: nn.Sequential) -> None:
    """Check that a network has something to train, beside its output space.

    Arguments:
        name: of the encoder.
        encoder: as :func:`build_encoder` makes it.

    Raises:
        ValueError: it has not.
    """
    if not any(parameter.requires_grad for parameter in encoder[0].parameters()):
        raise ValueError(
            f"encoder: expected one with parameters to train, found none in {name}; give "
            "--steps 0 to score it as it is"
        )


class _Codes(nn.Linear):
    """The last linear layer, in float32: bf16 would leave a few hundred different codes."""

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return super().forward(features.float())


def _find(name: str) -> Callable[[tuple[int, ...], int], nn.Module]:
    """What makes the network of that name, of an observation's shape and a number of codes."""
    if is_custom(name):
        make = _imported(name)
        return lambda _, codes: _made(name, make, codes)
    if name in RESNETS:
        return lambda shape, codes: _resnet(name, shape, codes)
    known = {"conv": _conv, "mlp": _mlp, "identity": _identity}
    if name not in known:
        raise ValueError(
            f"encoder: expected one of {', '.join(ENCODERS)}, or an import path such as "
            f"my_package.nets:MyNet, found {name!r}; take one of these"
        )
    return known[name]


def _resnet(name: str, shape: tuple[int, ...], codes: int) -> nn.Module:
    backbone = getattr(torchvision.models, name)(weights=None, num_classes=_WIDTH * codes)
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


def _mlp(shape: tuple[int, ...], codes: int) -> nn.Module:
    widths = [math.prod(shape), *(factor * codes for factor in _HIDDEN)]
    layers: list[nn.Module] = [nn.Flatten()]
    for wide, narrow in pairwise(widths):
        layers += [_he(nn.Linear(wide, narrow)), nn.LeakyReLU()]
    return nn.Sequential(*layers, _Codes(widths[-1], codes))


def _he(layer: nn.Linear) -> nn.Linear:
    """The layer, with weights that keep the variance of what passes a LeakyReLU.

    With torch's own, seven layers shrink the codes to a point, and training waits on plateaus.
    """
    nn.init.kaiming_normal_(layer.weight, nonlinearity="leaky_relu", a=0.01)
    nn.init.zeros_(layer.bias)
    return layer


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


def _imported(path: str) -> Callable[[int], object]:
    """What an import path names; modules beside the working directory are found, too."""
    module, _, attribute = path.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise ValueError(
            f"encoder: expected {path} to be importable from {here}, found "
            f"{type(error).__name__}: {error}; give package.module:Name"
        ) from None
    finally:
        sys.path.remove(here)
    if not callable(found):
        raise ValueError(
            f"encoder: expected {path} to make a module, found {type(found).__name__}; give a "
            "class or a function of the number of codes"
        )
    return found  # type: ignore[no-any-return]


def _made(path: str, make: Callable[[int], object], codes: int) -> nn.Module:
    try:
        network = make(codes)
    except Exception as error:
        raise ValueError(
            f"encoder: expected {path}({codes}) to make a module, found {type(error).__name__}: "
            f"{error}; it is called with the number of codes alone"
        ) from None
    if not isinstance(network, nn.Module):
        raise ValueError(
            f"encoder: expected {path}({codes}) to make a torch.nn.Module, found "
            f"{type(network).__name__}; return one"
        )
    return network


class _Checked(nn.Module):
    """A network whose errors, and whose codes where they are none, are named."""

    def __init__(self, name: str, network: nn.Module, codes: int) -> None:
        super().__init__()
        self.network = network
        self.name, self._codes = name, codes

    def forward(self, observations: Tensor) -> Tensor:
        """The network's codes, shape (B, codes).

        Raises:
            ValueError: the network raises, or gives none of that shape.
        """
        b, *shape = observations.shape
        try:
            found = self.network(observations)
        except Exception as error:
            raise ValueError(
                f"encoder: expected {self.name} to take observations of shape (B, "
                f"{', '.join(map(str, shape))}), found {type(error).__name__}: {error} for B = "
                f"{b}; change the network or the observations"
            ) from None
        if not isinstance(found, Tensor) or tuple(found.shape) != (b, self._codes):
            what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(
                f"encoder: expected codes of shape (B, {self._codes}) from {self.name}, found "
                f"{what} for B = {b}; end it with {self._codes} outputs"
            )
        if not found.is_floating_point():
            raise ValueError(
                f"encoder: expected codes of a floating type from {self.name}, found "
                f"{found.dtype}; convert them"
            )
        return found


def _require_gradient(checked: _Checked, observations: Tensor) -> None:
    """Encode in training mode, and refuse codes that do not depend on what is trained."""
    codes = checked.train()(observations)
    if any(p.requires_grad for p in checked.parameters()) and not codes.requires_grad:
        raise ValueError(
            f"encoder: expected codes of {checked.name} that depend on its parameters, found "
            "codes without gradient; do not detach them"
        )
