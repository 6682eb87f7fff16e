"""One seed of a run, from its last checkpoint to its final scores.

On one CPU thread a run that was stopped and resumed ends with the same weights, bit for bit, as
one that was not: batches are addressed by step, and so is all that an encoder draws itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmark.config import Config
from benchmark.metrics.scores import Scores
from benchmark.sources.source import Machine, Source
from benchmark.training.checkpoint import (
    logged_scores,
    own_checkpoint,
    require_own_scores,
    restore,
)
from benchmark.training.folder import RunFolder
from benchmark.training.log import Tracker, logged
from benchmark.training.loop import Loop
from benchmark.training.objective import Objective


@dataclass(frozen=True)
class Result:
    """Scores of one seed on the test split, before and after training."""

    seed: int
    untrained: Scores
    trained: Scores


@dataclass(frozen=True)
class Training:
    """One seed of a run, trained to the end.

    Arguments:
        config: what to train.
        seed: of the initial weights and of the batches.
        source: of the batches and of the test split.
        folder: opened for ``config``.
        machine: where to compute.
        tensorboard: whether to write for TensorBoard.
    """

    config: Config
    seed: int
    source: Source
    folder: RunFolder
    machine: Machine
    tensorboard: bool = False

    def run(self) -> Result:
        """Train from the last checkpoint, where there is one.

        Raises:
            ValueError: the loss is no longer finite; the last good checkpoint is kept.
            Interrupted: a signal stopped the run; a checkpoint was written.
        """
        ranks, device = self.machine.ranks, self.machine.device
        objective = Objective(self.config, self.source, self.seed, ranks).to(device)
        ranks.share_statistics(objective.model, device)
        optimizer = self._optimizer(objective)
        step = self._restore(objective, optimizer)
        silent = not ranks.leads
        with (
            logged(self.folder.work, self.seed, self.source.root, device, ranks),
            Tracker(self.folder, self.seed, step, self.tensorboard, silent) as tracker,
        ):
            Loop(
                self.config,
                self.seed,
                self.source,
                self.folder,
                self.machine,
                objective,
                optimizer,
                tracker,
                step,
            ).run()
        ranks.wait()
        return self.result()

    def _optimizer(self, objective: nn.Module) -> torch.optim.Optimizer:
        group = {"params": list(objective.parameters())}  # as a group, it may be empty
        return torch.optim.Adam([group], lr=self.config.learning_rate, fused=True)

    def _restore(self, objective: nn.Module, optimizer: torch.optim.Optimizer) -> int:
        """Load the last checkpoint where there is one; returns the steps taken until it."""
        step = 0
        with self.machine.ranks.together():
            state = own_checkpoint(self.folder, self.config, self.seed)
            if state is not None:
                step = self._load(state, objective, optimizer)
                require_own_scores(self.folder, self.seed, state)
        return step

    def _load(
        self, state: dict[str, Any], objective: nn.Module, optimizer: torch.optim.Optimizer
    ) -> int:
        try:
            restore(objective, optimizer, state)
        except Exception as error:  # what a stranger's file holds fails in a dozen ways
            raise ValueError(
                f"{self.folder.checkpoint(self.seed)}: expected a checkpoint of this run, found "
                f"another ({type(error).__name__}); delete it to train this seed again"
            ) from None
        return int(state["step"])

    def result(self) -> Result:
        """First and last scores in the log."""
        scored, steps = self.folder.scored(self.seed), self.config.steps
        if [r["step"] for r in scored[:1] + scored[-1:]] != [0, steps]:
            raise ValueError(
                f"{self.folder.metrics}: expected the scores of seed {self.seed} at steps 0 to "
                f"{steps}, found others; delete {self.folder.checkpoint(self.seed)} to train "
                "this seed again"
            )
        first, last = (logged_scores(self.folder, r) for r in (scored[0], scored[-1]))
        return Result(self.seed, first, last)
