"""The model of a run: from observations as they are to codes."""

from __future__ import annotations

import os
import shutil
from typing import Protocol

import torch
from torch import nn

from benchmark.config import Config
from benchmark.encoders.networks import build_encoder, require_trainable


class Observed(Protocol):
    """What a model must know of its observations."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one observation."""

    @property
    def codes(self) -> int:
        """How many codes an encoder gives."""

    def preprocess(self) -> nn.Module:
        """From observations as they are to what an encoder takes."""


def build_model(config: Config, source: Observed, seed: int) -> nn.Sequential:
    """From observations (B, ...) to codes (B, n), preprocessing included.

    Arguments:
        config: of the run.
        source: what is encoded.
        seed: of the initial weights.

    Raises:
        ValueError: the encoder does not fit the observations, or has nothing to train.
    """
    encoder = build_encoder(
        config.encoder, source.shape, source.codes, config.output_space, seed, config.extent
    )
    if config.steps:
        require_trainable(config.encoder, source.shape, encoder)
    if len(source.shape) == 3:
        encoder = encoder.to(memory_format=torch.channels_last)
    return nn.Sequential(source.preprocess(), encoder)


def can_compile(device: torch.device) -> bool:
    """Whether torch finds what it compiles encoders with: on a CPU, a C++ compiler."""
    compilers = (os.environ.get("CXX"), "g++", "clang++")
    return device.type != "cpu" or any(name and shutil.which(name) for name in compilers)
