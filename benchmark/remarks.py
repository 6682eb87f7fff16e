"""Warnings about scores: rows that are few for the codes, and arguments that look swapped.

Latents of a data set fill a box: each factor is uniform on [-1, 1], or on [0, 1]. Codes rarely
are. So the arguments look swapped where all columns of the second are uniform on one of these
intervals and some column of the first is not uniform even on the interval that it spans. Uniform
means that Kolmogorov's statistic, sqrt(N) times the largest distance between the two distribution
functions, is below 2.2; it is above that once in 8,000 columns that are uniform. Below 100 rows
too much looks uniform, and nothing is said. Rows of one length lie on a sphere, in three
dimensions with uniform coordinates; they are never taken for latents of a box.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from threedident.arrays import as_float64

SOUND_ROWS_PER_CODE = 20
_UNIFORM = 2.2
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
            "latents, representations: expected the true factors first, found representations "
            "that are uniform as factors are, and latents that are not; if they are swapped, "
            "call with latents=..., representations=...",
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
        and not _are_uniform(latents, latents.min(axis=0), latents.max(axis=0))
    )


def _are_uniform(
    rows: NDArray[np.float64], low: float | NDArray[np.float64], high: float | NDArray[np.float64]
) -> bool:
    """Whether every column is uniform on its interval, by Kolmogorov's statistic."""
    if (rows < low).any() or (rows > high).any():
        return False
    n, width = len(rows), high - low
    expected = np.sort((rows - low) / np.where(width > 0, width, 1.0), axis=0)
    places = np.arange(n + 1)[:, None] / n
    apart = np.maximum(places[1:] - expected, expected - places[:-1]).max()
    return bool(np.sqrt(n) * apart < _UNIFORM)


def _have_one_length(rows: NDArray[np.float64]) -> bool:
    lengths = np.linalg.norm(rows, axis=1)
    return bool(np.ptp(lengths) <= _ONE_LENGTH * lengths.max())
