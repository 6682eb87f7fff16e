"""Encoders f: a body, a head from features to codes, and an output space.

The features are the outputs of the body, which the head maps to n codes. The bodies are:

- ``resnet18`` to ``resnet152``: networks of torchvision, not pretrained, with 10 n outputs,
  followed by a LeakyReLU, as in the paper.
- ``conv``: a small convolutional network, for small images and CPUs, with 20 n features.
- ``glimpse``: the fastest one on a CPU of those tried: it looks at a crop that follows the object,
  and at the whole image, see :mod:`benchmark.encoders.glimpse`. It has 644 features.
- ``kitti-conv``: the published network for KITTI Masks, four 4 x 4 convolutions of stride 2 to
  32, 32, 64 and 64 channels, and one 4 x 4 convolution to 256, all with ReLU. Weights start from
  Kaiming's initialisation. There is no BatchNorm.
- ``mlp``: the network of the mixing experiments, with hidden widths 10 n, 50 n (four times) and
  10 n.
- ``identity``: the observations are the codes; there are no features.
- ``package.module:Name``: a custom class or function. It is called with a number m and returns a
  module that maps observations (B, ...) to m numbers (B, m). These are the codes. With a
  projector they are the features.
- ``zoo:NAME``: a trained encoder that comes with this package, see :mod:`benchmark.zoo.cards`.

The head is one linear layer, or a projector: an MLP with BatchNorm and ReLU.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.encoders.custom import Checked, made, require_gradient
from benchmark.encoders.headed import Headed, Widths
from benchmark.encoders.images import conv, glimpse, kitti, resnet
from benchmark.encoders.output_spaces import build_space, find_extent
from benchmark.plugins import declared, imported, is_plugin
from benchmark.protocol import OURS, Procedure
from benchmark.zoo.cards import is_zoo, read_card
from threedident.runtime.errors import unknown

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
ENCODERS = (*RESNETS, "conv", "glimpse", "kitti-conv", "mlp", "identity")
_HIDDEN = (10, 50, 50, 50, 50, 10)
_TRIED = 2


class Encoder(nn.Sequential):
    """A network and an output space."""

    def forward(self, observations: Tensor, features: bool = False) -> Any:
        """The codes of preprocessed observations, shape (B, n).

        Arguments:
            observations: shape (B, ...).
            features: True to return the features (B, F), or None if the network has none, and
                the codes.
        """
        network, space = self
        if isinstance(network, Headed):
            found, codes = network.features_and_codes(observations)
        else:
            found, codes = None, network(observations)
        return (found, space(codes)) if features else space(codes)


def build_encoder(
    name: str,
    shape: tuple[int, ...],
    codes: int | Widths,
    output_space: str,
    seed: int,
    extent: float | None = None,
    procedure: Procedure = OURS,
) -> Encoder:
    """An encoder that maps preprocessed observations (B, ...) to codes (B, n).

    Arguments:
        name: one of :data:`ENCODERS`, or a plugin.
        shape: shape of one observation.
        codes: number of codes n, or all widths.
        output_space: one of :data:`benchmark.encoders.output_spaces.OUTPUT_SPACES`.
        seed: seed of the initial weights. The global generator of torch stays unchanged.
        extent: extent of the output space; None for the default of that space.
        procedure: procedure that decides the initialisation of the MLP, and whether learned
            extents are linear.

    Raises:
        ValueError: the name is unknown, or the network does not fit the observations or the
            widths.
    """
    widths = codes if isinstance(codes, Widths) else Widths(codes)
    linear = procedure.linear_extents
    size = find_extent(output_space, extent, linear) or 0.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _find(name)(shape, widths)
        if name == "mlp" and procedure.torch_initialisation:
            _reset(network)
        checked = Checked(name, network, widths.codes)
        with torch.no_grad():
            checked.eval()(torch.zeros(_TRIED, *shape))
    plain = is_custom(name) and not isinstance(network, Headed)
    kept = checked.train() if plain else network.train()
    return Encoder(kept, build_space(output_space, widths.codes, size, linear, widths.sphere))


def is_custom(name: str) -> bool:
    """True if the name of an encoder is a plugin."""
    return name not in ENCODERS and not is_zoo(name) and is_plugin(name, "encoder")


def require_known(name: str) -> None:
    """Check that a name is the name of an encoder, of one of the zoo, or of a plugin.

    Raises:
        ValueError: no encoder has this name.
    """
    if is_zoo(name):
        read_card(name)
    elif name not in ENCODERS and not is_custom(name):
        advice = "take one of these, or an import path such as my_package.nets:MyNet"
        raise ValueError(unknown("encoder", name, [*ENCODERS, *declared("encoder")], advice))


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
    checked = network[0] if isinstance(network, Headed) else network
    if isinstance(checked, Checked):
        require_gradient(checked, torch.zeros(_TRIED, *shape))


def _find(name: str) -> Callable[[tuple[int, ...], Widths], nn.Module]:
    """The function that makes a network from an observation's shape and the widths."""
    require_known(name)
    if is_custom(name):
        return lambda _, widths: _custom(name, widths)
    if name in RESNETS:
        return lambda shape, widths: resnet(name, shape, widths)
    return {
        "conv": conv,
        "glimpse": glimpse,
        "kitti-conv": kitti,
        "mlp": _mlp,
        "identity": _identity,
    }[name]


def _custom(name: str, widths: Widths) -> nn.Module:
    make, features = imported(name, "encoder"), widths.features
    if (features is None) != (widths.projector is None):
        needs, has = "projector", "features"
        if features is None:
            needs, has = has, needs
        raise ValueError(
            f"--{has}: expected beside --{needs} for {name}, whose layers are not known, found it "
            "alone; give both, or none"
        )
    if features is None:
        return made(name, make, widths.codes)
    network = Checked(name, made(name, make, features), features)
    return Headed(network, widths.head(features))


def _mlp(shape: tuple[int, ...], widths: Widths) -> nn.Module:
    hidden = [factor * widths.codes for factor in _HIDDEN]
    hidden[-1] = widths.features or hidden[-1]
    layers: list[nn.Module] = [nn.Flatten()]
    for wide, narrow in pairwise([math.prod(shape), *hidden]):
        layers += [_he(nn.Linear(wide, narrow)), nn.LeakyReLU()]
    return Headed(*layers, widths.head(hidden[-1]))


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


def _identity(shape: tuple[int, ...], widths: Widths) -> nn.Module:
    codes = widths.codes
    for option, given in (("--features", widths.features), ("--projector", widths.projector)):
        if given is not None:
            raise ValueError(
                f"{option}: expected with an encoder that has layers, found it with identity; "
                "leave it out"
            )
    if math.prod(shape) != codes:
        raise ValueError(
            f"encoder: expected observations of {codes} numbers, one for each code, for "
            f"identity, found shape {shape}; take another encoder"
        )
    return nn.Flatten()
