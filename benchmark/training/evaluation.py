"""Representations of the test split for the two protocols.

- ``held-out``: all rows, in eval mode.
- ``published``: the first 4096 rows. BatchNorm uses the statistics of each batch, as in the code
  of the paper, which scored in training mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.config import Config
from benchmark.sources.source import Machine, Source

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
    rows, codes = len(scored_latents(config, source, seed)), []
    with _mode(model, config.protocol):
        for observations in source.held_out(seed, rows, machine):
            between()
            codes.append(model(observations).float().cpu())
    return torch.cat(codes).numpy()


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
