"""Statistics of scores for a few seeds and a few hundred images.

- Spread over seeds: mean, sample standard deviation, and Student's t interval of the mean.
- Difference of two rows: Welch's t interval over seeds, which allows unequal variances.
- Public minus fresh: R^2 is lower if it is fitted on fewer rows. So the public score is the mean
  score of random subsets of the public rows that are as large as the fresh split. The standard
  error follows from the spread over such subsets, which shows how a score varies with the choice
  of images. If the fresh split is larger than half of the public one, it is divided into random
  subsets, too.

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
from benchmark.metrics.rows import LEAST_ROWS
from benchmark.metrics.scores import Scores, score

CONFIDENCE = 0.95
SUSPICIOUS = 3.0
SCORES = ("r2", "mcc")
_SUBSETS = 100
Codes = Sequence[NDArray[np.float32]]


class Spread(NamedTuple):
    """Mean and spread of a score over seeds.

    Arguments:
        mean: mean over the seeds.
        sd: sample standard deviation; None for one seed.
        seeds: number of seeds.
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
    """Mean and spread of the values of all seeds."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), sd, len(values))


def difference_interval(row: Sequence[float], best: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % confidence interval of the mean of ``row`` minus that of ``best``.

    Arguments:
        row: values of one row, one for each seed.
        best: values of the other row, one for each seed.

    Returns:
        Lower and upper end; None if a row has only one seed.
    """
    if min(len(row), len(best)) < 2:
        return None
    if np.ptp(row) == np.ptp(best) == 0.0:
        return (float(np.mean(row) - np.mean(best)),) * 2
    found = ttest_ind(row, best, equal_var=False).confidence_interval(CONFIDENCE)
    return float(found.low), float(found.high)


class Gap(NamedTuple):
    """The difference of a score on the public and on the fresh split.

    Arguments:
        difference: public minus fresh, mean over seeds.
        standard_error: standard error of the difference, due to the choice of rows.
    """

    difference: float
    standard_error: float


def public_minus_fresh(
    public: tuple[NDArray[np.float32], Codes], fresh: tuple[NDArray[np.float32], Codes]
) -> dict[str, Gap]:
    """The difference between public and fresh split, for every score of :data:`SCORES`.

    Arguments:
        public: latents, shape (N, n), and codes of every seed, shape (N, n) each, of the public
            split.
        fresh: latents and codes of the fresh split, likewise.
    """
    (z, codes), (fresh_z, fresh_codes) = public, fresh
    size = max(LEAST_ROWS, min(len(fresh_z), len(z) // 2))
    rng = np.random.default_rng(0)
    here = np.array([_means(z, codes, rng, size) for _ in range(_SUBSETS)])
    if len(fresh_z) > size:
        there = np.array([_means(fresh_z, fresh_codes, rng, size) for _ in range(_SUBSETS)])
    else:
        there = np.array([_mean_scores(fresh_z, fresh_codes)])  # the reported scores
    within = 1.0 - size / len(z)  # subsets share rows, which reduces their variance
    one = here.std(axis=0, ddof=1) / math.sqrt(within)
    error = one * math.sqrt(size / len(z) + size / len(fresh_z))
    apart = here.mean(axis=0) - there.mean(axis=0)
    return {name: Gap(float(apart[i]), float(error[i])) for i, name in enumerate(SCORES)}


def _means(
    z: NDArray[np.float32], codes: Codes, rng: np.random.Generator, size: int
) -> list[float]:
    """Scores of a random subset of rows, as means over seeds."""
    rows = rng.permutation(len(z))[:size]
    return _mean_scores(z[rows], [each[rows] for each in codes])


def _mean_scores(z: NDArray[np.float32], codes: Codes) -> list[float]:
    with catch_warnings(action="ignore", category=ScoreWarning):
        found: list[Scores] = [score(latents=z, representations=each) for each in codes]
    return [float(np.mean([getattr(scores, name) for scores in found])) for name in SCORES]
