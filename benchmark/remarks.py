"""Warnings about scores: rows that are few for the codes, and arguments that look swapped.

Latents of a data set fill a box: factors are independent, each uniform on [-1, 1] or on [0, 1].
Codes of several factors are rarely so. The arguments look swapped where the second is of this kind
and the first has correlated columns. Latents of other spaces, which are independent, too, or whose
codes are not uniform, give no warning; neither do codes of one factor each, of which a swap
changes little.

A column is uniform where Kolmogorov's statistic, sqrt(N) times the largest distance between the
two distribution functions, is below 2.2; one in 8,000 uniform columns is above. Two columns are
uncorrelated where sqrt(N) |r| is below 4.5; one in 100,000 independent pairs is above. Below 100
rows too much passes for both, and nothing is said. Rows of one length lie on a sphere, in three
dimensions with uniform coordinates; they are never taken for latents of a box.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from threedident.arrays import as_float64

SOUND_ROWS_PER_CODE = 20
_UNIFORM = 2.2
_UNCORRELATED = 4.5
_TELLING_ROWS = 100
_SPACES = ((-1.0, 1.0), (0.0, 1.0))
_ONE_LENGTH = 1e-5  # relative; float32 codes of a sphere


class ScoreWarning(UserWarning):
    """A score may not mean what it seems to mean."""


class FewRowsWarning(ScoreWarning):
    """The rows are few for as many codes."""


class SwapWarning(ScoreWarning):
    """Latents and representations look swapped."""


def warn(latents: ArrayLike, representations: ArrayLike) -> None:
    """Warn the caller of the function that calls this, in one line for each finding.

    Arguments:
        latents: as they were given, shape (N, n).
        representations: as they were given, shape (N, m).
    """
    z, codes = as_float64(latents), as_float64(representations)
    few = few_rows(*codes.shape)
    if few is not None:
        warnings.warn(f"representations: {few}", FewRowsWarning, stacklevel=3)
    if look_swapped(z, codes):
        warnings.warn(
            "latents: expected the true factors, found correlated columns beside representations "
            "that are uniform and independent as factors are; if the two are swapped, call with "
            "latents=..., representations=...",
            SwapWarning,
            stacklevel=3,
        )


def few_rows(rows: int, codes: int) -> str | None:
    """A remark on scores of so many codes from so few rows; None where the rows are enough."""
    sound = SOUND_ROWS_PER_CODE * codes
    if rows >= sound:
        return None
    return (
        f"{rows} rows are few for {codes} codes, so scores are noisy and MCC is high by chance; "
        f"{sound} rows or more make them sound"
    )


def look_swapped(latents: NDArray[np.float64], representations: NDArray[np.float64]) -> bool:
    """Whether the second array looks like latents of a box, and the first does not."""
    return (
        len(latents) >= _TELLING_ROWS
        and any(_are_uniform(representations, *space) for space in _SPACES)
        and not _have_one_length(representations)
        and _are_uncorrelated(representations)
        and not _are_uncorrelated(latents)
    )


def _are_uniform(rows: NDArray[np.float64], low: float, high: float) -> bool:
    """Whether every column is uniform on the interval, by Kolmogorov's statistic."""
    if rows.min() < low or rows.max() > high:
        return False
    n = len(rows)
    expected = np.sort((rows - low) / (high - low), axis=0)
    places = np.arange(n + 1)[:, None] / n
    apart = np.maximum(places[1:] - expected, expected - places[:-1]).max()
    return bool(np.sqrt(n) * apart < _UNIFORM)


def _are_uncorrelated(rows: NDArray[np.float64]) -> bool:
    """Whether no two columns, none of them constant, are surely correlated."""
    largest = np.abs(rows).max(axis=0)
    correlation = np.corrcoef(rows / largest, rowvar=False)
    apart = np.abs(np.atleast_2d(correlation) - np.eye(rows.shape[1])).max()
    return bool(np.sqrt(len(rows)) * apart < _UNCORRELATED)


def _have_one_length(rows: NDArray[np.float64]) -> bool:
    lengths = np.linalg.norm(rows, axis=1)
    return bool(np.ptp(lengths) <= _ONE_LENGTH * lengths.max())
