"""Representations of the test split for the two protocols.

- ``held-out``: all rows, in eval mode.
- ``published``: the first 4096 rows. BatchNorm uses the statistics of each batch, as in the code
  of the paper, which scored in training mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.config import Config
from benchmark.encoders.model import Model
from benchmark.sources.source import Machine, Source
from benchmark.training.folder import RunFolder
from threedident.runtime.files import load_npy, npy_bytes, write_bytes

PUBLISHED_ROWS = 4096


def scored_latents(config: Config, source: Source, seed: int) -> NDArray[np.float32]:
    """Latents of the rows that are scored, shape (N, n).

    Arguments:
        config: configuration of the run, with its protocol.
        source: source with the test split.
        seed: seed of the run.

    Raises:
        ValueError: the test split has too few rows for the protocol.
    """
    latents = source.latents(seed)
    if config.protocol == "held-out":
        return latents
    if len(latents) < PUBLISHED_ROWS:
        raise ValueError(
            f"--protocol: expected at least {PUBLISHED_ROWS} test rows for published, found "
            f"{len(latents)}; take held-out, or a larger test split"
        )
    return latents[:PUBLISHED_ROWS]


@torch.no_grad()
def represent(
    model: nn.Module,
    config: Config,
    source: Source,
    seed: int,
    machine: Machine,
    between: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """Codes of the rows whose latents :func:`scored_latents` returns.

    Arguments:
        model: model that maps observations (B, ...) to codes (B, n). It stays unchanged.
        config: configuration of the run; only its protocol matters.
        source: source with the test split.
        seed: seed of the run.
        machine: machine with the device of the model.
        between: function that is called before every batch.

    Returns:
        Codes, shape (N, n).
    """
    with _mode(model, config.protocol):
        observations = _held_out(config, source, seed, machine, between)
        return torch.cat([model(each).float().cpu() for each in observations]).numpy()


@torch.no_grad()
def features_and_codes(
    model: Model,
    config: Config,
    source: Source,
    seed: int,
    machine: Machine,
    between: Callable[[], None] = lambda: None,
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32]]:
    """Features and codes of these rows, with the arguments of :func:`represent`.

    Returns:
        Outputs of the layer before the head, shape (N, F), or None if the encoder has no such
        layer, and codes, shape (N, n).
    """
    features, codes = [], []
    with _mode(model, config.protocol):
        for observations in _held_out(config, source, seed, machine, between):
            layer, found = model.features_and_codes(observations)
            codes.append(found.float().cpu())
            if layer is not None:
                features.append(layer.float().cpu())
    return torch.cat(features).numpy() if features else None, torch.cat(codes).numpy()


def _held_out(
    config: Config, source: Source, seed: int, machine: Machine, between: Callable[[], None]
) -> Iterator[Tensor]:
    for observations in source.held_out(seed, len(scored_latents(config, source, seed)), machine):
        between()
        yield observations


def write_features(folder: RunFolder, seed: int, features: NDArray[np.float32]) -> None:
    """Store the features of a seed after its last step, shape (N, F)."""
    write_bytes(_features(folder, seed), npy_bytes(features))


def read_features(folder: RunFolder, seed: int) -> NDArray[np.float32] | None:
    """The stored features of a seed, shape (N, F); None if there are none."""
    path = _features(folder, seed)
    return load_npy(path).astype(np.float32) if path.is_file() else None


def _features(folder: RunFolder, seed: int) -> Path:
    return folder.representations(seed).with_name(f"seed-{seed}-features.npy")


@contextmanager
def _mode(model: nn.Module, protocol: str) -> Iterator[None]:
    """A context with the model in the mode of a protocol; its buffers are restored afterwards."""
    training = model.training
    kept: dict[str, Tensor] = {name: b.clone() for name, b in model.named_buffers()}
    model.train(protocol == "published")
    try:
        yield
    finally:
        model.train(training)
        if protocol == "published":
            for name, buffer in model.named_buffers():
                buffer.copy_(kept[name])
