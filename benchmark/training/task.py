"""The task of training one seed of a run."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.config import Config
from benchmark.sources.source import Machine, Source
from benchmark.training.folder import RunFolder


@dataclass(frozen=True)
class Task:
    """What is trained, on what, where it is computed and where results go.

    Arguments:
        config: of the run.
        seed: of the initial weights and of the batches.
        source: of the batches and of the test split.
        folder: of the run, opened for ``config``.
        machine: where to compute.
        tensorboard: whether to write for TensorBoard.
    """

    config: Config
    seed: int
    source: Source
    folder: RunFolder
    machine: Machine
    tensorboard: bool = False
