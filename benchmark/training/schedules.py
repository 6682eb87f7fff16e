"""Schedules of the learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable

_FALLS: dict[str, Callable[[float], float]] = {
    "constant": lambda _: 1.0,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
    "linear": lambda done: 1.0 - done,
}
SCHEDULES = tuple(_FALLS)


def factor(schedule: str, step: int, steps: int, warmup: int) -> float:
    """The factor of the learning rate at a step.

    It rises linearly during the warm-up, and then decreases with the schedule.

    Arguments:
        schedule: ``constant``, as published, or ``cosine`` or ``linear``, which both end at 0.
        step: number of the step, from 0 to ``steps`` - 1.
        steps: number of steps of the whole run.
        warmup: number of steps of the rise, fewer than ``steps``.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return _FALLS[schedule]((step - warmup) / max(1, steps - warmup))
