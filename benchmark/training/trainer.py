"""Training of one seed, from its last checkpoint to its final scores.

On one CPU thread, a run that was stopped and resumed ends with exactly the same weights as a run
without a stop. Batches depend only on seed and step, and so do the random numbers that an encoder
draws, for example for dropout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmark.metrics.scores import Scores
from benchmark.training.checkpoint import (
    logged_scores,
    own_checkpoint,
    require_own_scores,
    restore,
)
from benchmark.training.log import Tracker, logged
from benchmark.training.loop import UNTRAINED_BY_BATCH, Loop
from benchmark.training.objective import Objective
from benchmark.training.task import Task


@dataclass(frozen=True)
class Result:
    """Scores of one seed on the test split, before and after training.

    Arguments:
        seed: seed of the training.
        untrained: scores before training.
        trained: scores after training.
        untrained_by_batch: R^2 and MCC before training with the statistics of each batch; None if
            the model has no BatchNorm, for the published protocol, and for earlier versions.
    """

    seed: int
    untrained: Scores
    trained: Scores
    untrained_by_batch: dict[str, float] | None = None


def train(task: Task) -> Result:
    """Train one seed to its end, from its last checkpoint if there is one.

    Returns:
        The scores before and after training.

    Raises:
        ValueError: the loss is no longer finite. The last good checkpoint is kept.
        Interrupted: a signal stopped the run. A checkpoint was written.
    """
    ranks, device = task.machine.ranks, task.machine.device
    objective = Objective(task.config, task.source, task.seed, ranks).to(device)
    ranks.share_statistics(objective.model, device)
    optimizer = _optimizer(task, objective)
    step = _restore(task, objective, optimizer)
    silent = not ranks.leads
    with (
        logged(task.folder.work, task.seed, task.source.root, device, ranks),
        Tracker(task.folder, task.seed, step, task.tensorboard, silent) as tracker,
    ):
        Loop(task, objective, optimizer, tracker, step).run()
    ranks.wait()
    return _result(task)


def _optimizer(task: Task, objective: nn.Module) -> torch.optim.Optimizer:
    group = {"params": list(objective.parameters())}  # a group may be empty, a plain list may not
    return torch.optim.Adam([group], lr=task.config.learning_rate, fused=True)


def _restore(task: Task, objective: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Load the last checkpoint, if there is one, and return the number of steps taken."""
    step = 0
    with task.machine.ranks.together():
        state = own_checkpoint(task.folder, task.config, task.seed)
        if state is not None:
            step = _load(task, state, objective, optimizer)
            require_own_scores(task.folder, task.seed, state)
    return step


def _load(
    task: Task, state: dict[str, Any], objective: nn.Module, optimizer: torch.optim.Optimizer
) -> int:
    try:
        restore(objective, optimizer, state)
    except Exception as error:  # damaged states raise many kinds of errors
        raise ValueError(
            f"{task.folder.checkpoint(task.seed)}: expected a checkpoint of this run, found "
            f"another ({type(error).__name__}); delete it to train this seed again"
        ) from None
    return int(state["step"])


def _result(task: Task) -> Result:
    """The result made of the first and the last scores in the log."""
    folder, seed, steps = task.folder, task.seed, task.config.steps
    scored = folder.scored(seed)
    if [r["step"] for r in scored[:1] + scored[-1:]] != [0, steps]:
        raise ValueError(
            f"{folder.metrics}: expected the scores of seed {seed} at steps 0 to {steps}, found "
            f"others; delete {folder.checkpoint(seed)} to train this seed again"
        )
    first, last = (logged_scores(folder, r) for r in (scored[0], scored[-1]))
    return Result(seed, first, last, scored[0].get(UNTRAINED_BY_BATCH))
