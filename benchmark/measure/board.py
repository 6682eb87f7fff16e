"""The command ``python -m benchmark.measure board``: coverage of the leaderboard's intervals.

It simulates seasons of methods whose true scores are known. The error of a code is large for a
quarter of the latents, a region that all methods share, or each has its own. Half of the error's
variance is the same for all seeds of a method, and each seed has a size of its own. With x uniform
on [-1, 1] and an error of variance v that is independent of x, the correlation is
1 / sqrt(1 + 3 v), and its mean over seeds is the true MCC.

Equal methods have equal true scores. Unequal ones become worse from the third on. The table gives
the share of seasons in which all intervals contain the true differences to the row that came
first, and, for equal methods, the share in which a row is called different from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import click
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.special import roots_hermitenorm

from benchmark.leaderboard.board.comparison import Sample, best_intervals
from benchmark.leaderboard.verification.influence import influence_on_mcc
from benchmark.leaderboard.verification.statistics import difference_interval
from benchmark.metrics.correlation.correlations import assign_codes, pearson
from threedident.options import Choice
from threedident.runtime.progress import progress

Array = NDArray[np.float64]
Intervals = list[tuple[float, float] | None]
IMAGES, FACTORS = 512, 10
_EDGE, _INSIDE, _OUTSIDE = 0.5, 1.0, 0.15  # region x > 1/2, and sizes of errors in and outside it
_ERROR, _WORSE = 0.4, 1.06  # size of the error, and its growth from row to row
_SHARED = 0.5  # share of the error's variance that is the same for all seeds
_DRAWS = 1000


class Scenario(NamedTuple):
    """Settings of simulated seasons.

    Arguments:
        rows: number of methods.
        seeds: seeds of each method.
        own: True if each method has large errors in a region of its own.
        equal: True if all methods have the same true score.
        spread: standard deviation of the logarithm of a seed's error.
    """

    rows: int
    seeds: int
    own: bool
    equal: bool
    spread: float

    @property
    def errors(self) -> Array:
        """Size of the error of each row, shape (rows,)."""
        worse = np.maximum(np.arange(self.rows) - 1, 0)
        return np.asarray(_ERROR * _WORSE ** (0 if self.equal else worse) * np.ones(self.rows))

    @property
    def truth(self) -> Array:
        """True MCC of each row, shape (rows,)."""
        points, weights = roots_hermitenorm(40)
        share = (1 - _EDGE) / 2
        variance = share * _INSIDE**2 + (1 - share) * _OUTSIDE**2
        sizes = self.errors[:, None] * np.exp(self.spread * points)
        return np.asarray((1 + 3 * variance * sizes**2) ** -0.5 @ (weights / weights.sum()))

    def season(self, rng: np.random.Generator) -> list[Sample]:
        """The scores of all rows on new images."""
        z = rng.uniform(-1, 1, (IMAGES, FACTORS))
        return [self._row(z, i, rng) for i in range(self.rows)]

    def _row(self, z: Array, row: int, rng: np.random.Generator) -> Sample:
        turn, factor = divmod(row if self.own else 0, FACTORS)
        region = (z[:, factor] if turn % 2 == 0 else -z[:, factor]) > _EDGE
        size = self.errors[row] * np.where(region, _INSIDE, _OUTSIDE)[:, None]
        common = np.sqrt(_SHARED) * rng.normal(size=z.shape)
        scores, influences = [], []
        for _ in range(self.seeds):
            error = common + np.sqrt(1 - _SHARED) * rng.normal(size=z.shape)
            codes = z + size * np.exp(self.spread * rng.normal()) * error
            scores.append(assign_codes(pearson(z, codes))[1].mean())
            influences.append(influence_on_mcc(z, codes))
        return Sample(np.array(scores), np.array(influences))


def welch_intervals(samples: Sequence[Sample]) -> Intervals:
    """Welch's intervals over seeds, one row at a time."""
    best = int(np.argmax([sample.scores.mean() for sample in samples]))
    return [
        None if i == best else difference_interval([*sample.scores], [*samples[best].scores])
        for i, sample in enumerate(samples)
    ]


def resampled_intervals(samples: Sequence[Sample], draws: int = _DRAWS) -> Intervals:
    """Intervals of a plain bootstrap, which resamples images, and seeds within each row.

    Their common width is the 95 % quantile of the largest difference to the best of a draw.
    """
    rng, size = np.random.default_rng(0), samples[0].influences.shape[1]
    weights = rng.multinomial(size, np.full(size, 1 / size), size=draws) - 1.0
    drawn = np.empty((draws, len(samples)))
    for i, (scores, influences) in enumerate(samples):
        chosen = rng.integers(len(scores), size=(draws, len(scores)))
        moved = scores - scores.mean() + weights @ influences.T / size
        drawn[:, i] = np.take_along_axis(moved, chosen, axis=1).mean(axis=1)
    reach = float(np.quantile(np.ptp(drawn, axis=1), 0.95))
    means = np.array([sample.scores.mean() for sample in samples])
    away = means - means.max()
    return [None if gap == 0 else (gap - reach, gap + reach) for gap in away.tolist()]


WAYS: dict[str, Callable[[Sequence[Sample]], Intervals]] = {
    "seeds alone": welch_intervals,
    "plain bootstrap": resampled_intervals,
    "board": partial(best_intervals, draws=_DRAWS),
}


class Found(NamedTuple):
    """Results of one way to compute intervals over simulated seasons.

    Arguments:
        coverage: share of seasons in which all intervals contain the true differences.
        different: share of seasons in which an interval excludes zero.
        width: median half width of the intervals.
    """

    coverage: float
    different: float
    width: float


def simulate(
    scenario: Scenario, seasons: int, advance: Callable[[], None] = lambda: None
) -> dict[str, Found]:
    """Results over simulated seasons for each of :data:`WAYS`."""
    truth, results = scenario.truth, {way: np.empty((seasons, 3)) for way in WAYS}
    for number in range(seasons):
        samples = scenario.season(np.random.default_rng((number, *map(int, scenario[:4]))))
        best = int(np.argmax([sample.scores.mean() for sample in samples]))
        differences = np.delete(truth - truth[best], best)
        for way, intervals in WAYS.items():
            ends = np.array([each for each in intervals(samples) if each is not None])
            inside = (ends[:, 0] <= differences) & (differences <= ends[:, 1])
            zero = (ends[:, 0] <= 0) & (ends[:, 1] >= 0)
            width = np.median(ends[:, 1] - ends[:, 0]) / 2
            results[way][number] = inside.all(), not zero.all(), width
        advance()
    return {
        way: Found(found[:, 0].mean(), found[:, 1].mean(), float(np.median(found[:, 2])))
        for way, found in results.items()
    }


@click.command(context_settings={"show_default": True})
@click.option("--seasons", type=click.IntRange(1), default=600, help="Seasons of each scenario.")
@click.option("--seeds", type=click.IntRange(2), default=3, help="Seeds of each row.")
@click.option(
    "--spread",
    type=click.IntRange(0, 100),
    default=5,
    help="Standard deviation of the error over seeds, in percent of the error.",
)
@click.option("--methods", type=Choice(["equal", "unequal"]), default="equal", help="True scores.")
def board_coverage(seasons: int, seeds: int, spread: int, methods: str) -> None:
    """Measure how often the leaderboard's intervals hold, by simulated seasons of 512 images.

    \b
    Example:
        python -m benchmark.measure board --seasons 200
    """
    scenarios = [
        Scenario(rows, seeds, own, methods == "equal", spread / 100)
        for own in (False, True)
        for rows in (2, 5, 10, 20)
    ]
    table = Table(title=f"{methods} methods, {seeds} seeds, spread {spread} %, {seasons} seasons")
    for name in ("errors", "rows", "intervals", "all hold", "called different", "half width"):
        table.add_column(name, justify="right")
    with progress("simulate", seasons * len(scenarios), "seasons") as advance:
        for scenario in scenarios:
            kind = "own" if scenario.own else "shared"
            for way, found in simulate(scenario, seasons, lambda: advance(1)).items():
                different = f"{found.different:.1%}" if scenario.equal else "-"
                shown = (f"{found.coverage:.1%}", different, f"{100 * found.width:.2f}")
                table.add_row(kind, str(scenario.rows), way, *shown)
    Console().print(table)
