"""The model of a run, which maps raw observations to codes."""

from __future__ import annotations

import os
import shutil
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from benchmark.config import Config
from benchmark.encoders.headed import Headed, Widths
from benchmark.encoders.networks import build_encoder, require_trainable
from benchmark.protocol import procedure_of
from benchmark.zoo.cards import is_zoo, read_card, read_weights


class Observed(Protocol):
    """The properties of observations that a model needs."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one observation."""

    @property
    def codes(self) -> int:
        """Number of codes of an encoder."""

    @property
    def sphere(self) -> int:
        """Number of codes on a sphere, which come last; 0 without a sphere."""

    def preprocess(self) -> nn.Module:
        """A module that maps raw observations to inputs of the encoder."""


class Model(nn.Sequential):
    """The preprocessing of observations, and an encoder."""

    def forward(self, observations: Tensor, features: bool = False) -> Any:
        """The codes of raw observations, shape (B, n).

        Arguments:
            observations: shape (B, ...).
            features: True for the result of :meth:`features_and_codes`.
        """
        preprocess, encoder = self
        return encoder(preprocess(observations), features)

    def features_and_codes(self, observations: Tensor) -> tuple[Tensor | None, Tensor]:
        """Outputs of the layer before the head, and codes, in one forward pass.

        Arguments:
            observations: shape (B, ...).

        Returns:
            Features (B, F), or None if the network has no such layer, and codes (B, n).
        """
        features, codes = self(observations, True)
        return features, codes

    @property
    def features(self) -> int | None:
        """The number of outputs of the layer before the head, or None without such a layer."""
        _, encoder = self
        network = next(iter(encoder.children()))
        return network.features if isinstance(network, Headed) else None


def count_codes(config: Config, source: Observed) -> int:
    """The number of codes of a run: the chosen one, or the source's."""
    return source.codes if config.codes is None else config.codes


def build_model(config: Config, source: Observed, seed: int) -> Model:
    """The model that maps raw observations (B, ...) to codes (B, n), with preprocessing.

    An encoder of the zoo comes with its weights and with its own preprocessing.

    Arguments:
        config: configuration of the run.
        source: source of the observations.
        seed: seed of the initial weights.

    Raises:
        ValueError: the encoder does not fit the observations, or has no trainable parameters.
    """
    if is_zoo(config.encoder):
        return _of_zoo(config.encoder, source)
    codes = count_codes(config, source)
    widths = Widths(codes, config.features, config.projector, source.sphere)
    encoder = build_encoder(
        config.encoder,
        source.shape,
        widths,
        config.output_space,
        seed,
        config.extent,
        procedure_of(config),
    )
    if config.steps:
        require_trainable(config.encoder, source.shape, encoder)
    if len(source.shape) == 3:
        encoder = encoder.to(memory_format=torch.channels_last)
    return Model(source.preprocess(), encoder)


def _of_zoo(name: str, source: Observed) -> Model:
    """The model of the zoo with this name.

    Raises:
        ValueError: it does not exist, or takes other observations.
    """
    card = read_card(name)
    edge = card.images.resolution
    if source.shape != (3, edge, edge):
        raise ValueError(
            f"encoder: expected images of {edge} x {edge} pixels for {name}, found observations "
            f"of shape {source.shape}; give --resolution {edge}"
        )
    config = card.config.model_copy(update={"codes": card.codes})
    model = build_model(config, source, card.seed)
    model.load_state_dict(read_weights(name))
    return model


def can_compile(device: torch.device) -> bool:
    """True if torch can compile encoders here. On a CPU it needs a C++ compiler."""
    compilers = (os.environ.get("CXX"), "g++", "clang++")
    return device.type != "cpu" or any(name and shutil.which(name) for name in compilers)
