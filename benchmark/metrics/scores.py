"""How well representations recover latents, cheaply: linear R^2 and mean correlations.

- R^2 of a factor: a linear readout with intercept from all codes, fitted on the first half of the
  rows and scored on the second. It is ordinary least squares up to one code for ten rows, and
  ridge regression beyond (see :mod:`benchmark.metrics.linear`).
- MCC: correlation of every factor with every code over all rows, absolute value, optimal
  one-to-one assignment of codes to factors, mean of the assigned values. Once with Pearson's
  correlation, once with Spearman's, which is Pearson's of the ranks, ties sharing their mean rank.

Rows are taken in the order given, so they must not be sorted. A score from fewer than 20 rows a
code gives a :class:`benchmark.metrics.remarks.FewRowsWarning`, arguments that look swapped a
:class:`benchmark.metrics.remarks.SwapWarning`.

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

from benchmark.metrics.linear import (
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
    """What :func:`score` measures, for n factors and m codes.

    Arguments:
        r2: mean of ``r2_per_factor``.
        mcc: mean of ``mcc_per_factor``.
        mcc_spearman: mean of ``mcc_spearman_per_factor``.
        r2_per_factor: shape (n,), at most 1.
        mcc_per_factor: absolute Pearson correlation of each factor with its assigned code,
            shape (n,), in [0, 1].
        mcc_spearman_per_factor: the same of Spearman's correlation and assignment.
        correlation: Pearson correlation, factors x codes, signed, shape (n, m).
        spearman: Spearman correlation, factors x codes, signed, shape (n, m).
        assignment: the code assigned to each factor by ``correlation``, shape (n,).
        spearman_assignment: the code assigned to each factor by ``spearman``, shape (n,).
        labels: names of the factors, where they were given.
        rows: N, fitted and scored rows together; None in records of earlier versions.
        readout: how the linear readout was fitted.
        strength_per_factor: of the ridge, relative to the sum of all squares of the standardised
            codes, shape (n,); None for least squares.
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
        """What is to be said where the rows are few for the codes."""
        return None if self.rows is None else few_rows(self.rows, self.correlation.shape[1])

    def card(self) -> dict[str, str]:
        """The means, and what they are from."""
        return {
            "R²": spell(self.r2),
            "MCC": spell(self.mcc),
            "Spearman MCC": spell(self.mcc_spearman),
            "rows": NONE if self.rows is None else str(self.rows),
            "codes": str(self.correlation.shape[1]),
            "fitted by": self.readout,
        }

    def columns(self) -> dict[str, list[str]]:
        """The scores of each factor, and its code."""
        count = len(self.r2_per_factor)
        return {
            "factor": factor_names(self.labels, count),
            "R²": spell_all(self.r2_per_factor, count),
            "|Pearson|": spell_all(self.mcc_per_factor, count),
            "|Spearman|": spell_all(self.mcc_spearman_per_factor, count),
            "assigned code": [str(code) for code in self.assignment],
        }

    def notes(self) -> list[str]:
        """The remark on few rows."""
        return [] if self.remark is None else [self.remark]


def score(
    latents: ArrayLike,
    representations: ArrayLike,
    *,
    spare_codes: bool = False,
    labels: Sequence[str] | None = None,
) -> Scores:
    """Score representations against the latents behind them.

    The two are easily swapped, so name them: ``score(latents=z, representations=codes)``.

    Arguments:
        latents: true factors z, shape (N, n).
        representations: codes f(x) in the same order of rows, shape (N, n).
        spare_codes: take more codes than factors too, shape (N, m) with m >= n, and leave those
            unassigned that fit worst. MCC grows with every spare code, so compare it only
            between representations of as many codes.
        labels: names of the factors, for the result and for messages; None for the numbers of
            their columns.

    Raises:
        ValueError: shapes that do not fit, entries that are not finite, fewer than four rows,
            or a factor that is constant over the fitted or the scored half.

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
    """R^2 of each factor on the second half of the rows, shape (n,); any number of codes.

    Raises:
        ValueError: as :func:`score` does.
    """
    z, codes = paired_rows(latents, representations, labels)
    warn(z, codes)
    return held_out_r2(z, codes)[0]


def linear_readout(latents: Array, codes: Array, new_codes: Array) -> Array:
    """Prediction of latents from ``new_codes``, fitted on (codes, latents) as scores are."""
    return fit_linear(latents, codes, suitable_fit(*codes.shape)).predict(new_codes)


def pearson(latents: ArrayLike, representations: ArrayLike) -> Array:
    """Pearson correlation of every factor with every code, shape (factors, codes).

    A constant code correlates with nothing: its entries are 0.
    """
    z, codes = _standardised(latents), _standardised(representations)
    return np.clip(z.T @ codes, -1.0, 1.0)


def spearman(latents: ArrayLike, representations: ArrayLike) -> Array:
    """Spearman correlation of every factor with every code, shape (factors, codes).

    Ties share their mean rank. A constant code correlates with nothing: its entries are 0.
    """
    return pearson(*(rankdata(as_float64(rows), axis=0) for rows in (latents, representations)))


def paired_rows(
    latents: ArrayLike, representations: ArrayLike, labels: Sequence[str] | None = None
) -> tuple[Array, Array]:
    """Latents and codes as every score takes them: checked, columns of largest magnitude 1.

    Arguments:
        latents: shape (N, n).
        representations: shape (N, m).
        labels: as in :func:`score`.

    Raises:
        ValueError: as :func:`score` does, except that any number of codes will do.
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
    """The best code of each factor, no code twice, and the absolute correlations with them."""
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
    """Columns divided by their largest magnitude, so that no square over- or underflows."""
    largest = np.abs(rows).max(axis=0)
    return np.asarray(rows / np.where(largest > 0, largest, 1.0))


def _require_a_code_each(z: Array, codes: Array, spare_codes: bool) -> None:
    """MCC assigns every factor a code of its own."""
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
