"""Representations of the test split for the two protocols.

- ``held-out``: all rows, in eval mode.
- ``published``: the first 4096 rows. BatchNorm uses the statistics of each batch, as in the code
  of the paper, which scored in training mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from warnings import catch_warnings

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from benchmark.config import Config
from benchmark.metrics.remarks import ScoreWarning
from benchmark.metrics.scores import Scores, score
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
    batch_statistics: bool = False,
) -> NDArray[np.float32]:
    """Codes of the rows whose latents :func:`scored_latents` returns.

    With ``batch_statistics``, they are codes of at most the first 4096 of these rows, and
    BatchNorm uses the statistics of each batch, whatever the protocol.

    Arguments:
        model: model that maps observations (B, ...) to codes (B, n). It stays unchanged.
        config: configuration of the run; only its protocol matters.
        source: source with the test split.
        seed: seed of the run.
        machine: machine with the device of the model.
        between: function that is called before every batch.
        batch_statistics: True for the statistics of each batch.

    Returns:
        Codes, shape (N, n).
    """
    rows, codes = len(scored_latents(config, source, seed)), []
    rows = min(rows, PUBLISHED_ROWS) if batch_statistics else rows
    with _mode(model, batch_statistics or config.protocol == "published"):
        for observations in source.held_out(seed, rows, machine):
            between()
            codes.append(model(observations).float().cpu())
    return torch.cat(codes).numpy()


def scores_of(source: Source, latents: NDArray[np.float32], codes: NDArray[np.float32]) -> Scores:
    """The scores of codes, shape (N, m), of rows with these latents, shape (N, n)."""
    with catch_warnings(action="ignore", category=ScoreWarning):  # printed once per run
        return score(
            latents=latents,
            representations=codes,
            labels=source.labels,
            spare_codes=source.spare_codes,
        )


def scores_by_batch(
    model: nn.Module,
    config: Config,
    source: Source,
    seed: int,
    machine: Machine,
    between: Callable[[], None] = lambda: None,
) -> dict[str, float] | None:
    """R^2 and MCC of a model whose BatchNorm uses the statistics of each batch.

    The running statistics of an untrained BatchNorm are not those of its inputs, so scores in eval
    mode say little of it. With several ranks, all ranks must call this, since they share the
    statistics of a batch; the result counts on the first. Arguments as for :func:`represent`.

    Returns:
        None for a model without BatchNorm, for the published protocol, whose scores have these
        statistics already, and if codes are not finite or a batch has no statistics.
    """
    normalises = any(isinstance(module, _BatchNorm) for module in model.modules())
    if config.protocol == "published" or not normalises:
        return None
    try:
        codes = represent(model, config, source, seed, machine, between, batch_statistics=True)
    except ValueError:  # a last batch of one row has no statistics
        return None
    if not np.isfinite(codes).all():
        return None
    found = scores_of(source, scored_latents(config, source, seed)[: len(codes)], codes)
    return {name: getattr(found, name) for name in ("r2", "mcc", "mcc_spearman")}


@contextmanager
def _mode(model: nn.Module, of_batch: bool) -> Iterator[None]:
    """A context with the model in training or eval mode; its buffers are restored afterwards."""
    training = model.training
    kept: dict[str, Tensor] = {name: b.clone() for name, b in model.named_buffers()}
    model.train(of_batch)
    try:
        yield
    finally:
        model.train(training)
        if of_batch:
            for name, buffer in model.named_buffers():
                buffer.copy_(kept[name])
