"""Statistics of scores for a few seeds and a few hundred images.

- Spread over seeds: mean, sample standard deviation, and Student's t interval of the mean.
- Difference of two rows: Welch's t interval over seeds, which allows unequal variances.
- Public minus fresh: R^2 is lower if it is fitted on fewer rows. So the public score is the mean
  score of random subsets of the public rows that are as large as the fresh split. If the fresh
  split is larger than half of the public one, it is divided into random subsets, too. The
  standard error follows from the influence of every image on the score, see
  :mod:`benchmark.leaderboard.verification.influence`. Both splits are scored with the same
  encoders, so seeds do not add to it.

References:
    The generalization of "Student's" problem when several different population variances are
    involved, Welch, 1947, https://doi.org/10.1093/biomet/34.1-2.28
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t, ttest_ind

from benchmark.leaderboard.verification.influence import SCORES, ScoreName, influences
from benchmark.metrics.linear import held_out_r2
from benchmark.metrics.scores import LEAST_ROWS, assign_codes, paired_rows, pearson

CONFIDENCE = 0.95
FALSE_ALARMS = 0.01  # nominal share of honest rows whose public minus fresh is marked
SUSPICIOUS = float(norm.isf(FALSE_ALARMS / 2 / len(SCORES)))  # two-sided, for both scores together
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
    public: tuple[NDArray[np.float32], Codes],
    fresh: tuple[NDArray[np.float32], Codes],
    subsets: int = _SUBSETS,
) -> dict[ScoreName, Gap]:
    """The difference between public and fresh split, for R^2 and MCC.

    Arguments:
        public: latents, shape (N, n), and codes of every seed, shape (N, n) each, of the public
            split.
        fresh: latents and codes of the fresh split, likewise.
        subsets: number of random subsets.
    """
    (z, _), (fresh_z, fresh_codes) = public, fresh
    size = max(LEAST_ROWS, min(len(fresh_z), len(z) // 2))
    rng = np.random.default_rng(0)
    here = _subset_scores(public, rng, size, subsets)
    divided = len(fresh_z) > size  # else its scores are the reported ones
    there = (
        _subset_scores(fresh, rng, size, subsets)
        if divided
        else _mean_scores(fresh_z, fresh_codes)
    )
    errors = np.sqrt(_variances(*public, divided=True) + _variances(*fresh, divided))
    return {
        name: Gap(float(here[i] - there[i]), float(errors[i])) for i, name in enumerate(SCORES)
    }


def _subset_scores(
    split: tuple[NDArray[np.float32], Codes], rng: np.random.Generator, size: int, subsets: int
) -> NDArray[np.float64]:
    """Mean scores over random subsets of ``size`` rows and over seeds, in order of SCORES."""
    z, codes = split
    chosen = (rng.permutation(len(z))[:size] for _ in range(subsets))
    found = [_mean_scores(z[rows], [each[rows] for each in codes]) for rows in chosen]
    return np.asarray(np.mean(found, axis=0))


def _mean_scores(z: NDArray[np.float32], codes: Codes) -> NDArray[np.float64]:
    """Scores as means over seeds, in order of SCORES."""
    found = []
    for each in codes:
        latents, representations = paired_rows(z, each)
        _, matched = assign_codes(pearson(latents, representations))
        found.append((held_out_r2(latents, representations)[0].mean(), matched.mean()))
    return np.asarray(np.mean(found, axis=0))


def _variances(z: NDArray[np.float32], codes: Codes, divided: bool) -> NDArray[np.float64]:
    """Variances over splits of the scores' means over seeds, in order of SCORES.

    Arguments:
        z: latents, shape (N, n).
        codes: codes of every seed, shape (N, n) each.
        divided: True if scores are means over random subsets. Their R^2 depends on all rows, not
            on the second half alone.
    """
    by_seed = [influences(z, each) for each in codes]
    means = {name: np.mean([found[name] for found in by_seed], axis=0) for name in SCORES}
    if divided:
        turned = [influences(z[::-1], each[::-1])["r2"][::-1] for each in codes]
        means["r2"] = (means["r2"] + np.mean(turned, axis=0)) / 2
    return np.array([(means[name] ** 2).sum() / len(z) ** 2 for name in SCORES])
