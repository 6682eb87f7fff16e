"""What a training step costs beside the encoder's own forward and backward pass."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

from benchmark.config import Law
from benchmark.ranks import Ranks
from benchmark.runs.options import Options, complete, resolve
from benchmark.sources.images import ImageSource
from benchmark.sources.source import Machine
from benchmark.training.objective import Objective
from threedident.dataset.split import ThreeDIdent

_BATCH = 64
_WARM_UP = 2


class StepCost(NamedTuple):
    """Medians over the steps.

    Arguments:
        step_s: seconds of a whole step: batch, both passes, loss, and Adam.
        waiting: share of it spent on getting the batch.
        overhead: whole step over the encoder's two passes, less 1.
    """

    step_s: float
    waiting: float
    overhead: float


def step_cost(dataset: ThreeDIdent, workers: int, steps: int) -> StepCost:
    """The cost of a step of ResNet-18 on 64 pairs, on the CPU.

    Whole steps take turns with passes of the encoder alone over the same images.

    Arguments:
        dataset: a split; its images are gathered here if packed, else by processes.
        workers: loader processes.
        steps: how many to measure, after two that are not.
    """
    source = ImageSource((dataset, dataset), "nearest", Law(name="normal", sigma=0.1))
    options = complete(Options(data=Path(), steps=steps, batch_size=_BATCH))
    config = resolve(replace(options), source)
    objective = Objective(config, source, 0, Ranks())
    optimizer = torch.optim.Adam(objective.parameters(), lr=config.learning_rate, fused=True)
    machine = Machine(torch.device("cpu"), workers)
    batches = source.batches(0, range(_WARM_UP + steps), _BATCH, machine)
    waited, worked, encoded = [], [], []
    for _ in range(_WARM_UP + steps):
        start = time.perf_counter()
        batch = next(batches)
        ready = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        terms = torch.stack(list(objective(batch).values()))
        terms[0].backward()  # type: ignore[no-untyped-call]
        terms.tolist()
        optimizer.step()
        end = time.perf_counter()
        waited.append(ready - start)
        worked.append(end - start)
        encoded.append(_encode(objective, torch.cat(batch.observations)))
    step, alone = median(worked[_WARM_UP:]), median(encoded[_WARM_UP:])
    return StepCost(step, sum(waited[_WARM_UP:]) / sum(worked[_WARM_UP:]), step / alone - 1.0)


def _encode(objective: Objective, images: torch.Tensor) -> float:
    """Seconds of the encoder's two passes."""
    objective.zero_grad(set_to_none=True)
    start = time.perf_counter()
    codes = objective.model(images)
    codes.backward(torch.ones_like(codes))
    return time.perf_counter() - start
