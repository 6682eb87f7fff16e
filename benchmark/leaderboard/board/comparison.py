"""Simultaneous intervals of the difference of each row to the best row, over images and seeds.

All rows are scored on the same images, so they are paired by image. A row i has k seeds with
scores of variance s_i^2, and an influence psi of every image on every seed's score (see
:mod:`benchmark.leaderboard.verification.influence`). The variance of the difference of two rows
has two parts:

- seeds: s_i^2 / k of both rows. Two or three seeds may agree by chance. So with three rows or
  more, this variance is at least the median over the rows. A row at the median has half of all
  degrees of freedom of the seeds.
- images: (1 / N^2) sum over images of (mean_i - mean_j)^2, the means of psi over the seeds, less
  the variances v_i and v_j of interactions of seed and image, which s_i^2 contains already.

The statistic is Welch's t with Satterthwaite's degrees of freedom, as its p-value. A multiplier
bootstrap draws the differences of all rows at once: the same normal weights of the images for all
rows, a normal seed effect for each row, and the variance of its seeds from chi-squared. The best
of a draw is chosen among the candidates, and the smallest p-value of the other rows is kept. Its
5 % quantile is the level of all intervals. So they hold together with 95 %, although the best was
picked. Candidates are all rows first, then those that are not worse than the best.

Draws come from a fixed seed, so the intervals of a board do not change from build to build.

References:
    Gaussian approximations and multiplier bootstrap for maxima of sums of high-dimensional random
    vectors, Chernozhukov et al., 2013, https://doi.org/10.1214/13-AOS1161
    Resampling-Based Multiple Testing, on the smallest p-value, Westfall and Young, 1993
    Multiple Comparisons: Theory and Methods, on comparisons with the best, Hsu, 1996
    The generalization of "Student's" problem when several different population variances are
    involved, Welch, 1947, https://doi.org/10.1093/biomet/34.1-2.28
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from benchmark.leaderboard.verification.statistics import CONFIDENCE

Array = NDArray[np.float64]
DRAWS = 10_000
_BLOCK = 1000  # images at once
_FEWEST_FOR_MEDIAN = 3  # rows


class Sample(NamedTuple):
    """The scores of a row by seed, and how they depend on the images.

    Arguments:
        scores: score of each seed, shape (k,), with k >= 2.
        influences: influence of every image on the score of each seed, shape (k, N).
    """

    scores: Array
    influences: Array


def best_intervals(
    samples: Sequence[Sample], best: int | None = None, draws: int = DRAWS
) -> list[tuple[float, float] | None]:
    """The 95 % intervals of each row minus the best row, which hold together.

    Arguments:
        samples: rows that were scored on the same N images.
        best: number of the best row, if it is the best in another score, which may depend on this
            one; then all rows remain candidates. None for the row with the highest mean.
        draws: number of draws of the bootstrap.

    Returns:
        Lower and upper end for each row; None for the best row.
    """
    if len(samples) < 2:
        return [None] * len(samples)
    rows = _Rows.of(samples)
    draw = rows.draw(draws, np.random.default_rng(0))
    picked = best is None
    best = int(rows.means.argmax()) if best is None else best
    away = rows.means - rows.means[best]
    errors, freedom = rows.errors(best, rows.seeds(rows.spreads))
    everyone = np.arange(len(samples))
    level = rows.level(draw, everyone)
    if picked:
        level = rows.level(draw, everyone[-away <= _reach(level, errors, freedom)])
    reach = _reach(level, errors, freedom)
    return [
        None if i == best else (float(away[i] - reach[i]), float(away[i] + reach[i]))
        for i in everyone
    ]


class _Seeds(NamedTuple):
    """Variances over seeds, and their degrees of freedom, shape (..., K) each."""

    variances: Array
    freedom: Array


class _Draw(NamedTuple):
    """Draws of the bootstrap: means of all rows, shape (draws, K), and their seeds."""

    means: Array
    seeds: _Seeds


@dataclass(frozen=True)
class _Rows:
    """Means of K rows, and the parts of their variances.

    Arguments:
        means: mean scores, shape (K,).
        effects: mean influences over seeds, shape (K, N).
        spreads: variance of the seeds' scores over k, shape (K,).
        mixed: variance of interactions of seed and image, shape (K,).
        counts: numbers of seeds, shape (K,).
    """

    means: Array
    effects: Array
    spreads: Array
    mixed: Array
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> _Rows:
        counts = np.array([len(sample.scores) for sample in samples])
        effects = np.array([sample.influences.mean(axis=0) for sample in samples])
        own = [
            ((sample.influences - mean) ** 2).sum() / (k - 1)
            for sample, mean, k in zip(samples, effects, counts, strict=True)
        ]
        return cls(
            means=np.array([sample.scores.mean() for sample in samples]),
            effects=effects,
            spreads=np.array([sample.scores.var(ddof=1) for sample in samples]) / counts,
            mixed=np.array(own) / counts / effects.shape[1] ** 2,
            counts=counts,
        )

    def seeds(self, spreads: Array) -> _Seeds:
        """The variances ``spreads`` over seeds, shape (..., K), at least their median."""
        freedom = np.broadcast_to(self.counts - 1.0, spreads.shape)
        if len(self.counts) < _FEWEST_FOR_MEDIAN:
            return _Seeds(spreads, freedom)
        least = np.median(spreads, axis=-1, keepdims=True)
        shared = (self.counts - 1.0).sum() / 2
        return _Seeds(np.maximum(spreads, least), np.where(spreads > least, freedom, shared))

    @cached_property
    def images(self) -> Array:
        """Variance of the difference of each two rows over images alone, shape (K, K)."""
        covariance = self.effects @ self.effects.T / self.effects.shape[1] ** 2
        alone = np.diag(covariance) - self.mixed
        return np.asarray(np.maximum(alone[:, None] + alone - 2 * covariance, 0.0))

    def errors(self, best: Any, seeds: _Seeds) -> tuple[Array, Array]:
        """Standard errors and degrees of freedom of the differences to one row.

        Arguments:
            best: number of this row; an array of shape (draws,) for draws.
            seeds: variances due to seeds, shape (K,), or (draws, K) for draws.
        """
        best = np.asarray(best)[..., None]
        there = _Seeds(*(np.take_along_axis(part, best, axis=-1) for part in seeds))
        images = self.images[best[..., 0]]
        whole = images + seeds.variances + there.variances
        uncertain = images**2 / (self.effects.shape[1] - 1)
        for part in (seeds, there):
            uncertain = uncertain + part.variances**2 / part.freedom
        tiny = np.finfo(float).tiny
        return np.sqrt(whole), np.maximum(whole**2, tiny) / np.maximum(uncertain, tiny)

    def draw(self, draws: int, rng: np.random.Generator) -> _Draw:
        """Draws of rows with the same true mean, and with the variances of these rows."""
        size = self.effects.shape[1]
        variances = np.maximum(self.seeds(self.spreads).variances, self.mixed)
        means = rng.normal(size=(draws, len(self.means))) * np.sqrt(variances - self.mixed)
        for start in range(0, size, _BLOCK):
            part = self.effects[:, start : start + _BLOCK]
            means += rng.normal(size=(draws, part.shape[1])) @ part.T / size
        freedom = self.counts - 1
        spreads = variances * rng.chisquare(freedom, size=means.shape) / freedom
        return _Draw(means, self.seeds(spreads))

    def level(self, draw: _Draw, candidates: NDArray[np.int64]) -> float:
        """The quantile of the smallest p-value, if only ``candidates`` can be the best."""
        best = candidates[draw.means[:, candidates].argmax(axis=1)]
        away = np.abs(draw.means - np.take_along_axis(draw.means, best[:, None], axis=1))
        errors, freedom = self.errors(best, draw.seeds)
        ratio = np.divide(away, errors, out=np.zeros_like(away), where=errors > 0)
        return float(np.quantile(2 * stdtr(freedom, -ratio).min(axis=1), 1 - CONFIDENCE))


def _reach(level: float, errors: Array, freedom: Array) -> Array:
    return np.asarray(-stdtrit(freedom, level / 2) * errors)
