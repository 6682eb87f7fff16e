"""Representations of the test split, under the two protocols.

- ``held-out``: every row, in eval mode.
- ``published``: the first 4096 rows, with BatchNorm at the statistics of each batch, as the
  paper's code scored, which never left training mode.
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
    """Latents of the rows that a protocol scores, shape (N, n).

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
    """Codes of the rows that :func:`scored_latents` gives.

    Arguments:
        model: from observations (B, ...) to codes (B, n); left as it was.
        config: its protocol counts.
        source: what is encoded.
        seed: of the run.
        machine: where the model is.
        between: called before every batch.

    Returns:
        Shape (N, n).
    """
    rows, codes = len(scored_latents(config, source, seed)), []
    with _mode(model, config.protocol):
        for observations in source.held_out(seed, rows, machine):
            between()
            codes.append(model(observations).float().cpu())
    return torch.cat(codes).numpy()


@contextmanager
def _mode(model: nn.Module, protocol: str) -> Iterator[None]:
    """Eval mode, or statistics of the batch that leave no trace in the model."""
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
