"""Warnings about scores: rows that are few for the codes, and arguments that look swapped.

Factors are independent, and codes that mix several of them are correlated. Such codes can be read
from the factors better than the factors from them, as they lose or bend some of them. So the
arguments look swapped where, of 100 rows or more,

- the columns of the first are clearly correlated, and no two columns of the second are,
- and the first is read linearly from the second with an R^2 that is more than 0.1 above the R^2 of
  the second from the first, both as :func:`benchmark.metrics.score` reports them, at least 0.

Two columns are uncorrelated where sqrt(N) |r| is below 4.5; one in 100,000 independent pairs is
above. Where the two R^2 are alike, as for linear maps of all factors, a swap changes R^2 and MCC
little, and nothing is said. Correlated latents whose codes are uncorrelated and hold much else
look swapped, too, though they are not.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from benchmark.metrics.linear import ROUNDING, Array, held_out_r2, least_spread

SOUND_ROWS_PER_CODE = 20
_TELLING_ROWS = 100
_CORRELATED = 4.5
_MARGIN = 0.1


class ScoreWarning(UserWarning):
    """A score may not mean what it seems to mean."""


class FewRowsWarning(ScoreWarning):
    """The rows are few for as many codes."""


class SwapWarning(ScoreWarning):
    """Latents and representations look swapped."""


def warn(latents: Array, representations: Array) -> None:
    """Warn the caller of the function that calls this, in one line for each finding.

    Arguments:
        latents: shape (N, n), columns of largest magnitude 1.
        representations: shape (N, m), likewise.
    """
    few = few_rows(*representations.shape)
    if few is not None:
        warnings.warn(f"representations: {few}", FewRowsWarning, stacklevel=3)
    if look_swapped(latents, representations):
        warnings.warn(
            "latents: expected the true factors, found correlated columns as codes have them, "
            "beside representations that are uncorrelated as factors are; if the two are swapped, "
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


def recorded_few_rows(scores: Mapping[str, Any]) -> str | None:
    """The remark on few rows of a ``scores.json``; None where it does not give the numbers."""
    try:
        return few_rows(scores["rows"], len(scores["seeds"][0]["trained"]["correlation"][0]))
    except (KeyError, IndexError, TypeError):
        return None


def notes_on_runs(runs: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """One line for each remark on few rows, with the runs that it is on.

    Arguments:
        runs: the name of each and the content of its ``scores.json``.
    """
    names: dict[str, list[str]] = {}
    for name, scores in runs:
        remark = recorded_few_rows(scores)
        if remark is not None:
            names.setdefault(remark, []).append(name)
    return [f"{', '.join(those)}: {remark}" for remark, those in names.items()]


def look_swapped(latents: Array, representations: Array) -> bool:
    """Whether the first array looks like codes of the second.

    Arguments:
        latents: shape (N, n), columns of largest magnitude 1.
        representations: shape (N, m), likewise.
    """
    if len(latents) < _TELLING_ROWS:
        return False
    first, second = _varying(latents), _varying(representations)
    if not _are_correlated(first) or _are_correlated(second) or not second.shape[1]:
        return False
    forth, back = held_out_r2(first, second)[0].mean(), held_out_r2(second, first)[0].mean()
    return bool(max(forth, 0.0) > max(back, 0.0) + _MARGIN)


def _varying(rows: Array) -> Array:
    """The columns that are constant over neither half."""
    return rows[:, least_spread(rows) > ROUNDING]


def _are_correlated(rows: Array) -> bool:
    """Whether two of the columns, none of them constant, are surely correlated."""
    if rows.shape[1] < 2:
        return False
    apart = np.abs(np.corrcoef(rows, rowvar=False) - np.eye(rows.shape[1])).max()
    return bool(np.sqrt(len(rows)) * apart > _CORRELATED)
