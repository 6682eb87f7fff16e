"""The model of a run, which maps raw observations to codes."""

from __future__ import annotations

import os
import shutil
from typing import Protocol

import torch
from torch import nn

from benchmark.config import Config
from benchmark.encoders.networks import build_encoder, require_trainable
from benchmark.protocol import procedure_of


class Observed(Protocol):
    """The properties of observations that a model needs."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one observation."""

    @property
    def codes(self) -> int:
        """Number of codes of an encoder."""

    def preprocess(self) -> nn.Module:
        """A module that maps raw observations to inputs of the encoder."""


def build_model(config: Config, source: Observed, seed: int) -> nn.Sequential:
    """The model that maps raw observations (B, ...) to codes (B, n), with preprocessing.

    Arguments:
        config: configuration of the run.
        source: source of the observations.
        seed: seed of the initial weights.

    Raises:
        ValueError: the encoder does not fit the observations, or has no trainable parameters.
    """
    encoder = build_encoder(
        config.encoder,
        source.shape,
        source.codes,
        config.output_space,
        seed,
        config.extent,
        procedure_of(config),
    )
    if config.steps:
        require_trainable(config.encoder, source.shape, encoder)
    if len(source.shape) == 3:
        encoder = encoder.to(memory_format=torch.channels_last)
    return nn.Sequential(source.preprocess(), encoder)


def can_compile(device: torch.device) -> bool:
    """True if torch can compile encoders here. On a CPU it needs a C++ compiler."""
    compilers = (os.environ.get("CXX"), "g++", "clang++")
    return device.type != "cpu" or any(name and shutil.which(name) for name in compilers)
