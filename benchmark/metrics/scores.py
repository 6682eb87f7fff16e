"""Scores that are fast to compute: linear R^2, and the mean correlation coefficient (MCC).

- R^2 of a factor is the score of a linear readout with intercept from all codes. The readout is
  fitted on the first half of the rows and scored on the second half. It is ordinary least squares
  with at least ten rows per code, else ridge regression (see
  :mod:`benchmark.metrics.readouts.linear`).
- MCC is computed from the absolute correlations of every factor with every code over all rows.
  An optimal one-to-one assignment gives each factor one code. MCC is the mean of the assigned
  values. It is computed with Pearson and with Spearman correlation. Spearman correlation is
  Pearson correlation of the ranks; ties get their mean rank.

The halves are taken in the given order of rows, so the rows must not be sorted. Scores from fewer
than 20 rows per code issue a :class:`benchmark.metrics.remarks.FewRowsWarning`. Arguments that
look swapped issue a :class:`benchmark.metrics.remarks.SwapWarning`.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from benchmark.metrics.readouts.linear import (
    ROUNDING,
    Fit,
    fit_linear,
    held_out_r2,
    least_spread,
    suitable_fit,
)
from benchmark.metrics.remarks import few_rows, warn
from benchmark.metrics.results import NONE, JsonRecord, ScoreTable, factor_names, spell, spell_all
from threedident.runtime.arrays import as_float64

Array = NDArray[np.float64]

LEAST_ROWS = 4
_SWAP = "if the two are swapped, call with latents=..., representations=..."


@dataclass(frozen=True, kw_only=True, repr=False)
class Scores(JsonRecord, ScoreTable):
    """The scores that :func:`score` measures, for n factors and m codes.

    Arguments:
        r2: mean of ``r2_per_factor``.
        mcc: mean of ``mcc_per_factor``.
        mcc_spearman: mean of ``mcc_spearman_per_factor``.
        r2_per_factor: R^2 of each factor, shape (n,), at most 1.
        mcc_per_factor: absolute Pearson correlation of each factor with its assigned code,
            shape (n,), in [0, 1].
        mcc_spearman_per_factor: absolute Spearman correlation of each factor with the code that
            ``spearman_assignment`` gives it, shape (n,), in [0, 1].
        correlation: Pearson correlation, factors x codes, signed, shape (n, m).
        spearman: Spearman correlation, factors x codes, signed, shape (n, m).
        assignment: number of the code assigned to each factor by ``correlation``, shape (n,).
        spearman_assignment: number of the code assigned to each factor by ``spearman``,
            shape (n,).
        labels: names of the factors, or None.
        rows: N, the number of fitted and scored rows together; None in records of earlier
            versions.
        readout: method that fitted the linear readout.
        strength_per_factor: strength of the ridge, relative to the sum of all squares of the
            standardised codes, shape (n,); None for least squares.
    """

    r2: float
    mcc: float
    mcc_spearman: float
    r2_per_factor: Array
    mcc_per_factor: Array
    mcc_spearman_per_factor: Array
    correlation: Array
    spearman: Array
    assignment: NDArray[np.int64]
    spearman_assignment: NDArray[np.int64]
    labels: tuple[str, ...] | None = None
    rows: int | None = None
    readout: Fit = "least squares"
    strength_per_factor: Array | None = None

    @property
    def remark(self) -> str | None:
        """The remark on too few rows for the number of codes, or None."""
        return None if self.rows is None else few_rows(self.rows, self.correlation.shape[1])

    def card(self) -> dict[str, str]:
        """The mean scores, and the data and method behind them."""
        return {
            "R²": spell(self.r2),
            "MCC": spell(self.mcc),
            "Spearman MCC": spell(self.mcc_spearman),
            "rows": NONE if self.rows is None else str(self.rows),
            "codes": str(self.correlation.shape[1]),
            "fitted by": self.readout,
        }

    def columns(self) -> dict[str, list[str]]:
        """The scores of each factor, and its assigned code."""
        count = len(self.r2_per_factor)
        return {
            "factor": factor_names(self.labels, count),
            "R²": spell_all(self.r2_per_factor, count),
            "|Pearson|": spell_all(self.mcc_per_factor, count),
            "|Spearman|": spell_all(self.mcc_spearman_per_factor, count),
            "assigned code": [str(code) for code in self.assignment],
        }

    def notes(self) -> list[str]:
        """The remark on too few rows, if any."""
        return [] if self.remark is None else [self.remark]


def score(
    latents: ArrayLike,
    representations: ArrayLike,
    *,
    spare_codes: bool = False,
    labels: Sequence[str] | None = None,
) -> Scores:
    """The scores of representations, given the latents of the same rows.

    The two arguments are easily swapped, so pass them by name:
    ``score(latents=z, representations=codes)``.

    Arguments:
        latents: true factors z, shape (N, n).
        representations: codes f(x) with rows in the same order, shape (N, n).
        spare_codes: also accept more codes than factors, shape (N, m) with m >= n. The codes that
            fit worst then stay unassigned. MCC grows with every spare code, so compare it only
            between representations with the same number of codes.
        labels: names of the factors, for the result and for messages; None for the numbers of
            their columns.

    Raises:
        ValueError: shapes do not fit, entries are not finite, there are fewer than four rows, or
            a factor is constant over the fitted or the scored half.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> z = rng.uniform(-1, 1, (1000, 3))
        >>> codes = z[:, [2, 0, 1]] ** 3
        >>> scores = score(latents=z, representations=codes, labels=["x", "y", "hue"])
        >>> scores  # doctest: +ELLIPSIS
        Scores: R² 0.842, MCC 0.917, Spearman MCC 1.000, rows 1000, codes 3, fitted by ...
        factor     R²  |Pearson|  |Spearman|  assigned code
        x       0.852      0.925       1.000              1
        y       0.839      0.913       1.000              2
        hue     0.834      0.913       1.000              0
    """
    z, codes = _pair(latents, representations)
    _require_a_code_each(z, codes, spare_codes)
    z, codes = paired_rows(z, codes, labels)
    warn(z, codes)
    per_factor, fit, strengths = held_out_r2(z, codes)
    linear, monotone = pearson(z, codes), spearman(z, codes)
    (assigned, values), (by_rank, rank_values) = assign_codes(linear), assign_codes(monotone)
    return Scores(
        r2=float(per_factor.mean()),
        mcc=float(values.mean()),
        mcc_spearman=float(rank_values.mean()),
        r2_per_factor=per_factor,
        mcc_per_factor=values,
        mcc_spearman_per_factor=rank_values,
        correlation=linear,
        spearman=monotone,
        assignment=assigned,
        spearman_assignment=by_rank,
        labels=None if labels is None else tuple(map(str, labels)),
        rows=len(z),
        readout=fit,
        strength_per_factor=strengths,
    )


def linear_r2(
    latents: ArrayLike, representations: ArrayLike, *, labels: Sequence[str] | None = None
) -> Array:
    """R^2 of each factor on the second half of the rows, shape (n,), for any number of codes.

    Raises:
        ValueError: for the same reasons as :func:`score`, except the number of codes.
    """
    z, codes = paired_rows(latents, representations, labels)
    warn(z, codes)
    return held_out_r2(z, codes)[0]


def linear_readout(latents: Array, codes: Array, new_codes: Array) -> Array:
    """Latents predicted from ``new_codes`` by the readout that :func:`score` would fit.

    The readout is fitted on all rows of ``codes`` and ``latents``.
    """
    return fit_linear(latents, codes, suitable_fit(*codes.shape)).predict(new_codes)


def pearson(latents: ArrayLike, representations: ArrayLike) -> Array:
    """Pearson correlation of every factor with every code, shape (factors, codes).

    Entries of a constant code are 0.
    """
    z, codes = _standardised(latents), _standardised(representations)
    return np.clip(z.T @ codes, -1.0, 1.0)


def spearman(latents: ArrayLike, representations: ArrayLike) -> Array:
    """Spearman correlation of every factor with every code, shape (factors, codes).

    Ties get their mean rank. Entries of a constant code are 0.
    """
    return pearson(*(rankdata(as_float64(rows), axis=0) for rows in (latents, representations)))


def paired_rows(
    latents: ArrayLike, representations: ArrayLike, labels: Sequence[str] | None = None
) -> tuple[Array, Array]:
    """Latents and codes after checks, each column divided by its largest magnitude.

    Arguments:
        latents: shape (N, n).
        representations: shape (N, m).
        labels: names of the factors, see :func:`score`.

    Raises:
        ValueError: for the same reasons as :func:`score`, but any number of codes is accepted.
    """
    z, codes = _pair(latents, representations)
    names = [f"column {i}" for i in range(z.shape[1])] if labels is None else labels
    if len(names) != z.shape[1]:
        swap = f"; {_SWAP}" if len(names) == codes.shape[1] else ""
        raise ValueError(f"labels: expected {z.shape[1]}, one a factor, found {len(names)}{swap}")
    may_be_swapped = labels is None and bool((least_spread(codes) > ROUNDING).all())
    _require_spread(z, names, f"; {_SWAP}" if may_be_swapped else "")
    return z, codes


def assign_codes(correlation: Array) -> tuple[NDArray[np.int64], Array]:
    """The optimal one-to-one assignment of codes to factors, and its absolute correlations."""
    factors, codes = linear_sum_assignment(np.abs(correlation), maximize=True)
    return codes, np.abs(correlation[factors, codes])


def _standardised(values: ArrayLike) -> Array:
    scaled = _scaled(as_float64(values))
    centred = scaled - scaled.mean(axis=0)
    norms = np.linalg.norm(centred, axis=0)
    constant = norms <= ROUNDING * np.sqrt(len(centred))
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, norms))


def _pair(latents: ArrayLike, representations: ArrayLike) -> tuple[Array, Array]:
    z, codes = _rows(latents, "latents"), _rows(representations, "representations")
    if len(z) != len(codes):
        raise ValueError(
            f"representations: expected shape {z.shape} as the latents have, found {codes.shape}; "
            "give one row of codes for each row of latents"
        )
    return z, codes


def _rows(values: ArrayLike, name: str) -> Array:
    rows = as_float64(values)
    if rows.ndim != 2 or len(rows) < LEAST_ROWS or rows.shape[1] == 0:
        raise ValueError(
            f"{name}: expected shape (N, n) with N >= {LEAST_ROWS}, found {rows.shape}"
        )
    if not np.isfinite(rows).all():
        bad = int(np.argwhere(~np.isfinite(rows))[0, 0])
        raise ValueError(f"{name}: expected finite numbers, found NaN or infinity in row {bad}")
    return _scaled(rows)


def _scaled(rows: Array) -> Array:
    """Columns divided by their largest magnitude, so that squares do not over- or underflow."""
    largest = np.abs(rows).max(axis=0)
    return np.asarray(rows / np.where(largest > 0, largest, 1.0))


def _require_a_code_each(z: Array, codes: Array, spare_codes: bool) -> None:
    """Check the number of codes: MCC assigns a different code to every factor."""
    factors, m = z.shape[1], codes.shape[1]
    if m < factors or (m > factors and not spare_codes):
        advice = f"pass spare_codes=True to score all {m} (MCC then assigns {factors} of them)"
        if m < factors:
            advice = f"give more codes, or, {_SWAP}"
        raise ValueError(
            f"representations: expected shape {z.shape} as the latents have (MCC assigns every "
            f"factor a code of its own), found {codes.shape}; {advice}"
        )


def _require_spread(z: Array, names: Sequence[str], advice: str) -> None:
    constant = np.flatnonzero(least_spread(z) <= ROUNDING)
    if len(constant):
        raise ValueError(
            f"latents: expected every factor to vary, found {names[constant[0]]} constant; "
            f"scores are not defined for it, leave it out or take rows in which it varies{advice}"
        )
