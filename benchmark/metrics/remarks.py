"""Warnings about scores: too few rows for the number of codes, and arguments that look swapped.

Factors are independent, and codes that mix several factors are correlated. Such codes lose or
bend some factors, so they are predicted from the factors better than the factors from them.
Arguments look swapped if there are at least 100 rows and

- columns of the first argument are clearly correlated, and no two columns of the second are,
- and a linear readout predicts the first argument from the second with an R^2 that is more than
  0.1 above the R^2 of the second from the first. Both R^2 are computed as in
  :func:`benchmark.metrics.score`, and negative values count as 0.

Two columns count as uncorrelated if sqrt(N) |r| is below 4.5; one in 100,000 independent pairs is
above. If the two R^2 are similar, as for linear maps of all factors, a swap changes R^2 and MCC
little, and there is no warning. Correlated latents whose codes are uncorrelated and contain much
other information also look swapped, although they are not.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from benchmark.metrics.readouts.linear import ROUNDING, held_out_r2, least_spread
from benchmark.metrics.readouts.targets import Array, Circular

SOUND_ROWS_PER_CODE = 20
_TELLING_ROWS = 100
_CORRELATED = 4.5
_MARGIN = 0.1


class ScoreWarning(UserWarning):
    """Warning that a score may be misleading."""


class FewRowsWarning(ScoreWarning):
    """Warning about too few rows for the number of codes."""


class SwapWarning(ScoreWarning):
    """Warning that latents and representations look swapped."""


def warn(latents: Array, representations: Array, circular: Circular = None) -> None:
    """Issue one warning for each finding, which points at the caller of the calling function.

    Arguments:
        latents: shape (N, n), each column with largest magnitude 1.
        representations: shape (N, m), each column with largest magnitude 1.
        circular: True for each circular factor, which the check for a swap leaves out; None if
            there is none.
    """
    if circular is not None:
        latents = latents[:, ~np.asarray(circular)]
    few = few_rows(*representations.shape)
    if few is not None:
        warnings.warn(f"representations: {few}", FewRowsWarning, stacklevel=3)
    if look_swapped(latents, representations):
        warnings.warn(
            "latents: expected the true factors, found correlated columns like those of codes, "
            "and representations with uncorrelated columns like those of factors; if the two are "
            "swapped, call with latents=..., representations=...",
            SwapWarning,
            stacklevel=3,
        )


def few_rows(rows: int, codes: int) -> str | None:
    """A remark on scores from too few rows for the number of codes; None if rows suffice."""
    sound = SOUND_ROWS_PER_CODE * codes
    if rows >= sound:
        return None
    return (
        f"{rows} rows are few for {codes} codes, so scores are noisy and MCC is high by chance; "
        f"{sound} rows or more make them sound"
    )


def recorded_few_rows(scores: Mapping[str, Any]) -> str | None:
    """The remark on too few rows for the content of a ``scores.json``.

    None if rows suffice, or if the file lacks the numbers.
    """
    try:
        return few_rows(scores["rows"], len(scores["seeds"][0]["trained"]["correlation"][0]))
    except (KeyError, IndexError, TypeError):
        return None


def notes_on_runs(runs: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """One line for each remark on too few rows, with the names of the runs concerned.

    Arguments:
        runs: name of each run, and the content of its ``scores.json``.
    """
    names: dict[str, list[str]] = {}
    for name, scores in runs:
        remark = recorded_few_rows(scores)
        if remark is not None:
            names.setdefault(remark, []).append(name)
    return [f"{', '.join(those)}: {remark}" for remark, those in names.items()]


def look_swapped(latents: Array, representations: Array) -> bool:
    """True if the first array looks like codes of the second.

    Arguments:
        latents: shape (N, n), each column with largest magnitude 1.
        representations: shape (N, m), each column with largest magnitude 1.
    """
    if len(latents) < _TELLING_ROWS:
        return False
    first, second = _varying(latents), _varying(representations)
    if not _are_correlated(first) or _are_correlated(second) or not second.shape[1]:
        return False
    forth, back = held_out_r2(first, second)[0].mean(), held_out_r2(second, first)[0].mean()
    return bool(max(forth, 0.0) > max(back, 0.0) + _MARGIN)


def _varying(rows: Array) -> Array:
    """The columns that vary in both halves of the rows."""
    return rows[:, least_spread(rows) > ROUNDING]


def _are_correlated(rows: Array) -> bool:
    """True if any two columns are clearly correlated. No column may be constant."""
    if rows.shape[1] < 2:
        return False
    apart = np.abs(np.corrcoef(rows, rowvar=False) - np.eye(rows.shape[1])).max()
    return bool(np.sqrt(len(rows)) * apart > _CORRELATED)
