"""The command ``python -m benchmark.measure gap``: how often honest rows are marked by chance.

A row is honest if its codes of the public and of the fresh images have errors of the same law.
The board marks a row if public minus fresh exceeds its standard errors in R^2 or MCC.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmark.leaderboard.verification.influence import SCORES
from benchmark.leaderboard.verification.statistics import (
    FALSE_ALARMS,
    SUSPICIOUS,
    public_minus_fresh,
)
from threedident.runtime.progress import progress

_FACTORS, _SEEDS = 10, 3
_EDGE, _OUTSIDE = 0.5, 0.15  # region x > 1/2, and the relative size of errors outside it


class Honest(NamedTuple):
    """Settings of honest rows.

    Arguments:
        error: size of the error of a code.
        region: True if the error is large only in a region of the latents.
        mixed: True if codes are a rotation of the latents.
        public: number of public images.
        fresh: number of fresh images.
    """

    error: float
    region: bool = False
    mixed: bool = False
    public: int = 2000
    fresh: int = 512

    def ratios(self, number: int) -> NDArray[np.float64]:
        """Public minus fresh over its standard error of one row, in order of SCORES."""
        rng = np.random.default_rng(number)
        turn = np.linalg.qr(np.random.default_rng(0).normal(size=(_FACTORS, _FACTORS)))[0]
        splits = []
        for size in (self.public, self.fresh):
            z = rng.uniform(-1, 1, (size, _FACTORS)).astype(np.float32)
            found = z @ turn if self.mixed else z
            scale = np.where(self.region & (z[:, :1] < _EDGE), _OUTSIDE, 1.0) * self.error
            codes = [found + scale * rng.normal(size=z.shape) for _ in range(_SEEDS)]
            splits.append((z, [each.astype(np.float32) for each in codes]))
        gaps = public_minus_fresh(splits[0], splits[1])
        return np.array([gaps[name].difference / gaps[name].standard_error for name in SCORES])


ROWS = {
    "small errors": Honest(0.1),
    "errors": Honest(0.4),
    "large errors": Honest(2.0),
    "errors in a region": Honest(0.5, region=True),
    "mixed codes": Honest(0.3, mixed=True),
    "1,000 public images": Honest(0.4, public=1000),
}


def ratios(
    row: Honest, count: int, advance: Callable[[], None] = lambda: None
) -> NDArray[np.float64]:
    """Public minus fresh in standard errors of many honest rows, shape (count, 2)."""
    found = np.empty((count, len(SCORES)))
    for number in range(count):
        found[number] = row.ratios(number)
        advance()
    return found


@click.command(context_settings={"show_default": True})
@click.option("--rows", type=click.IntRange(2), default=120, help="Rows of each kind.")
def false_alarms(rows: int) -> None:
    """Measure how often the leaderboard marks public minus fresh of honest rows.

    \b
    Example:
        python -m benchmark.measure gap --rows 100
    """
    table = Table(title=f"{rows} honest rows of each kind, nominal level {FALSE_ALARMS:.0%}")
    for name in ("rows", "marked", "sd of R² ratio", "sd of MCC ratio"):
        table.add_column(name, justify="right")
    with progress("simulate", rows * len(ROWS), "rows") as advance:
        for name, row in ROWS.items():
            found = ratios(row, rows, lambda: advance(1))
            marked = (np.abs(found) > SUSPICIOUS).any(axis=1).mean()
            spread = found.std(axis=0, ddof=1)
            table.add_row(name, f"{marked:.2%}", *(f"{each:.2f}" for each in spread))
    Console().print(table)
