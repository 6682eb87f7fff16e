"""The headline of a report: the factors that an encoder recovers, by levels of R^2.

The level of a factor depends on its R^2 on held-out rows, as mean over seeds, divided by the best
R^2 that the data allow:

- recovered: the linear readout reaches 0.9;
- in part: the linear readout reaches 0.5;
- encoded, but not linearly: the linear readout is below 0.5, the nonlinear readout reaches 0.9;
- not recovered: all other factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.readouts.targets import Array

RECOVERED = 0.9
IN_PART = 0.5


class Level(NamedTuple):
    """The factors of one level.

    Arguments:
        name: name of the level.
        meaning: definition of the level in numbers.
        factors: name and linear R^2 of each factor.
    """

    name: str
    meaning: str
    factors: list[tuple[str, float]]


def levels(
    labels: Sequence[str], linear: Array, nonlinear: Array, ceiling: Array | None
) -> list[Level]:
    """The factors by level, from the best to the worst; levels without factors are left out.

    Arguments:
        labels: names of the factors.
        linear: R^2 of the linear readout, mean over seeds, shape (n,).
        nonlinear: R^2 of the nonlinear readout, mean over seeds, shape (n,).
        ceiling: the best R^2 that the data allow, shape (n,); None if it is 1 for all factors.
    """
    best = np.ones(len(labels)) if ceiling is None else ceiling
    share, curved = linear / best, nonlinear / best
    recovered, partly = share >= RECOVERED, share >= IN_PART
    bent = ~partly & (curved >= RECOVERED)
    r2 = "R²" if ceiling is None or (ceiling == 1).all() else "share of the best R²"
    found: list[tuple[str, str, NDArray[np.bool_]]] = [
        ("Recovered", f"{r2} ≥ {RECOVERED}", recovered),
        ("In part", f"{r2} from {IN_PART} to {RECOVERED}", partly & ~recovered),
        ("Encoded, but not linearly", f"{r2} < {IN_PART}, nonlinear ≥ {RECOVERED}", bent),
        ("Not recovered", f"{r2} < {IN_PART}", ~partly & ~bent),
    ]
    return [
        Level(
            name,
            meaning,
            [(labels[i], float(linear[i])) for i in np.flatnonzero(members).tolist()],
        )
        for name, meaning, members in found
        if members.any()
    ]


def sentence(found: Sequence[Level]) -> str:
    """The number of recovered factors, as a sentence."""
    count = sum(len(level.factors) for level in found)
    recovered = sum(len(level.factors) for level in found if level.name == "Recovered")
    share = {0: f"none of the {count}", count: f"all {count}"}.get(
        recovered, f"{recovered} of {count}"
    )
    return f"The encoder recovers {share} factors"
