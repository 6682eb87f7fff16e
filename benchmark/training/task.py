"""The task of training one seed of a run."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.config import Config
from benchmark.sources.source import Machine, Source
from benchmark.training.folder import RunFolder


@dataclass(frozen=True)
class Task:
    """Everything that the training of one seed needs.

    Arguments:
        config: configuration of the run.
        seed: seed of the initial weights and of the batches.
        source: source of the batches and of the test split.
        folder: folder of the run, opened for ``config``.
        machine: devices and processes that compute.
        tensorboard: True to write logs for TensorBoard.
        trained: folder of a finished run whose weights replace the training; None to train.
    """

    config: Config
    seed: int
    source: Source
    folder: RunFolder
    machine: Machine
    tensorboard: bool = False
    trained: RunFolder | None = None
