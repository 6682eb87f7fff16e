"""Scores that are fast to compute: linear R^2, and the mean correlation coefficient (MCC).

- R^2 of a factor is the score of a linear readout with intercept from all codes. The readout is
  fitted on the first half of the rows and scored on the second half. It is ordinary least squares
  with at least ten rows per code, else ridge regression (see
  :mod:`benchmark.metrics.readouts.linear`).
- MCC is computed from the absolute correlations of every factor with every code over all rows.
  An optimal one-to-one assignment gives each factor one code. MCC is the mean of the assigned
  values. It is computed with Pearson and with Spearman correlation. Spearman correlation is
  Pearson correlation of the ranks; ties get their mean rank.

A circular factor is an angle without ends. Its R^2 is that of its cosine and sine together (see
:mod:`benchmark.metrics.readouts.targets`), and its correlation with a code is the circular-linear
one (see :mod:`benchmark.metrics.correlation.correlations`).

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

from benchmark.metrics.correlation.correlations import assign_codes, pearson, spearman
from benchmark.metrics.readouts.linear import Fit, fit_linear, held_out_r2, suitable_fit
from benchmark.metrics.readouts.targets import Array, Circular, angles, targets
from benchmark.metrics.remarks import few_rows, warn
from benchmark.metrics.results import NONE, JsonRecord, ScoreTable, factor_names, spell, spell_all
from benchmark.metrics.rows import paired_rows, require_a_code_each


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
        assignment: number of the code assigned to each factor by ``correlation``, shape (n,);
            at least m for a factor without a code.
        spearman_assignment: likewise by ``spearman``, shape (n,).
        labels: names of the factors, or None.
        rows: N, the number of fitted and scored rows together; None in records of earlier
            versions.
        readout: method that fitted the linear readout.
        strength_per_factor: strength of the ridge, relative to the sum of all squares of the
            standardised codes, shape (n,); None for least squares.
        circular: True for each circular factor, n entries; None if no factor is circular. Their
            rows of ``correlation`` and ``spearman`` have no sign.
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
    circular: tuple[bool, ...] | None = None

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

    def assigned(self) -> list[str]:
        """The number of each factor's code in words; a dash for a factor without one."""
        codes = self.correlation.shape[1]
        return [str(code) if code < codes else NONE for code in self.assignment]

    def columns(self) -> dict[str, list[str]]:
        """The scores of each factor, and its assigned code."""
        count = len(self.r2_per_factor)
        return {
            "factor": factor_names(self.labels, count),
            "R²": spell_all(self.r2_per_factor, count),
            "|Pearson|": spell_all(self.mcc_per_factor, count),
            "|Spearman|": spell_all(self.mcc_spearman_per_factor, count),
            "assigned code": self.assigned(),
        }

    def notes(self) -> list[str]:
        """The remark on too few rows, if any."""
        return [] if self.remark is None else [self.remark]


def score(
    latents: ArrayLike,
    representations: ArrayLike,
    *,
    spare_codes: bool = False,
    missing_codes: bool = False,
    labels: Sequence[str] | None = None,
    circular: Circular = None,
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
        missing_codes: also accept fewer codes than factors, shape (N, m) with m < n. Factors
            without a code count as 0 in MCC, which is at most m/n.
        labels: names of the factors, for the result and for messages; None for the numbers of
            their columns.
        circular: True for each factor that is an angle in rad without ends, n entries; None if
            there is none.

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
    z, codes = require_a_code_each(latents, representations, spare_codes, missing_codes)
    z, codes = paired_rows(z, codes, labels, circular)
    warn(z, codes, circular)
    per_factor, fit, strengths = held_out_r2(z, codes, circular)
    linear = pearson(z, codes, circular=circular)
    monotone = spearman(z, codes, circular=circular)
    missing = ((0, 0), (0, max(0, z.shape[1] - codes.shape[1])))
    assigned, values = assign_codes(np.pad(linear, missing))
    by_rank, rank_values = assign_codes(np.pad(monotone, missing))
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
        circular=recorded(circular),
    )


def linear_r2(
    latents: ArrayLike,
    representations: ArrayLike,
    *,
    labels: Sequence[str] | None = None,
    circular: Circular = None,
) -> Array:
    """R^2 of each factor on the second half of the rows, shape (n,), for any number of codes.

    Raises:
        ValueError: for the same reasons as :func:`score`, except the number of codes.
    """
    z, codes = paired_rows(latents, representations, labels, circular)
    warn(z, codes, circular)
    return held_out_r2(z, codes, circular)[0]


def linear_readout(
    latents: Array, codes: Array, new_codes: Array, circular: Circular = None
) -> Array:
    """Latents predicted from ``new_codes`` by the readout that :func:`score` would fit.

    The readout is fitted on all rows of ``codes`` and ``latents``. Circular factors are predicted
    as angles in (-pi, pi].
    """
    fitted = fit_linear(targets(latents, circular), codes, suitable_fit(*codes.shape))
    return angles(fitted.predict(new_codes), circular)


def recorded(circular: Circular) -> tuple[bool, ...] | None:
    """The kinds of the factors as records hold them; None if no factor is circular."""
    return None if circular is None or not any(circular) else tuple(map(bool, circular))
