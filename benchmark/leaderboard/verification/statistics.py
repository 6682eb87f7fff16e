"""What may be said of a few seeds and a few hundred images, and how surely.

- Spread over seeds: mean and sample standard deviation, and Student's t interval of the mean.
- Difference of two rows: Welch's t interval over seeds, which takes their variances as unequal.
- Public minus fresh: the public score is that of random subsets of the public rows as large as
  the fresh split, since R^2 fitted on fewer rows is lower. Its standard error follows from the
  spread of such subsets, which says how a score varies with the images that happen to be drawn.
  Where the fresh split is more than half as large as the public one, it is cut up likewise.

References:
    The generalization of "Student's" problem when several different population variances are
    involved, Welch, 1947, https://doi.org/10.1093/biomet/34.1-2.28
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from warnings import catch_warnings

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t, ttest_ind

from benchmark.metrics.remarks import ScoreWarning
from benchmark.metrics.scores import LEAST_ROWS, Scores, score

CONFIDENCE = 0.95
SUSPICIOUS = 3.0
SCORES = ("r2", "mcc")
_SUBSETS = 100
Codes = Sequence[NDArray[np.float32]]


class Spread(NamedTuple):
    """How a score lies over seeds.

    Arguments:
        mean: over them.
        sd: sample standard deviation; None for one seed.
        seeds: how many there are.
    """

    mean: float
    sd: float | None
    seeds: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval of the mean; None for one seed."""
        if self.sd is None or self.seeds < 2:
            return None
        error = self.sd / math.sqrt(self.seeds)
        reach = float(t.ppf(0.5 + CONFIDENCE / 2, self.seeds - 1)) * error
        return self.mean - reach, self.mean + reach


def spread(values: Sequence[float]) -> Spread:
    """Of the values of all seeds."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), sd, len(values))


def difference_interval(row: Sequence[float], best: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % confidence interval of the mean of ``row`` minus that of ``best``.

    Arguments:
        row: values of one row, by seed.
        best: values of the other.

    Returns:
        Lower and upper end; None where a row has but one seed.
    """
    if min(len(row), len(best)) < 2:
        return None
    if np.ptp(row) == np.ptp(best) == 0.0:
        return (float(np.mean(row) - np.mean(best)),) * 2
    found = ttest_ind(row, best, equal_var=False).confidence_interval(CONFIDENCE)
    return float(found.low), float(found.high)


class Gap(NamedTuple):
    """How far a score fell from the public split to the fresh one.

    Arguments:
        difference: public minus fresh, mean over seeds.
        standard_error: of the difference, from the rows drawn.
    """

    difference: float
    standard_error: float


def public_minus_fresh(
    public: tuple[NDArray[np.float32], Codes], fresh: tuple[NDArray[np.float32], Codes]
) -> dict[str, Gap]:
    """The gap of every score of :data:`SCORES`.

    Arguments:
        public: latents (N, n) and the codes (N, n) of every seed.
        fresh: the same of the fresh split.
    """
    (z, codes), (fresh_z, fresh_codes) = public, fresh
    size = max(LEAST_ROWS, min(len(fresh_z), len(z) // 2))
    rng = np.random.default_rng(0)
    here = np.array([_means(z, codes, rng, size) for _ in range(_SUBSETS)])
    if len(fresh_z) > size:
        there = np.array([_means(fresh_z, fresh_codes, rng, size) for _ in range(_SUBSETS)])
    else:
        there = np.array([_mean_scores(fresh_z, fresh_codes)])  # as they are reported
    within = 1.0 - size / len(z)  # subsets share rows, and vary less for it
    one = here.std(axis=0, ddof=1) / math.sqrt(within)
    error = one * math.sqrt(size / len(z) + size / len(fresh_z))
    apart = here.mean(axis=0) - there.mean(axis=0)
    return {name: Gap(float(apart[i]), float(error[i])) for i, name in enumerate(SCORES)}


def _means(
    z: NDArray[np.float32], codes: Codes, rng: np.random.Generator, size: int
) -> list[float]:
    """Scores of a random subset of rows, mean over seeds."""
    rows = rng.permutation(len(z))[:size]
    return _mean_scores(z[rows], [each[rows] for each in codes])


def _mean_scores(z: NDArray[np.float32], codes: Codes) -> list[float]:
    with catch_warnings(action="ignore", category=ScoreWarning):
        found: list[Scores] = [score(latents=z, representations=each) for each in codes]
    return [float(np.mean([getattr(scores, name) for scores in found])) for name in SCORES]
