"""Disentanglement, completeness and informativeness (DCI) of codes, by the Lasso.

The Lasso predicts every factor from all codes. Factors and codes are standardised. The importance
R_ij of code i for factor j is the absolute weight. With n factors and m codes,

- disentanglement of code i is 1 - H_n(R_i. / sum_j R_ij); it is 1 if the code predicts only one
  factor,
- completeness of factor j is 1 - H_m(R_.j / sum_i R_ij); it is 1 if only one code predicts the
  factor,

where H_b is the entropy with logarithm to base b. In the means over codes and over factors, each
is weighted by its share of the total importance, so dead codes have no weight. (The paper uses
these weights for the mean over codes. It gives no weights for the mean over factors; there the
weights follow Locatello et al.)

- informativeness of factor j is 1 - MSE / variance, for predictions of rows that were not used
  for fitting.

Codes without information on the factors get random weights, and a few random weights can look
perfectly disentangled. Disentanglement and completeness are therefore withheld if mean
informativeness is below :func:`least_informativeness` of the N rows, which is max(0.05, 20 / N)
and at most 1. Codes of pure noise stayed below 18 / N in all of 41,000 draws (1 to 10 factors and
codes, 4 to 400 rows). A mean below this level does not mean that no factor is encoded: see the
informativeness of each factor.

For a circular factor, the Lasso predicts cosine and sine. The importance of a code for the factor
is the root of the sum of its two squared weights, so the origin of the angle hardly matters.

The paper reports an error instead, the root of MSE / variance (NRMSE): sqrt(1 - informativeness).

References:
    A Framework for the Quantitative Evaluation of Disentangled Representations, Eastwood and
    Williams, 2018, https://openreview.net/forum?id=By-7dz-AZ
    Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations,
    Locatello et al., 2019, https://arxiv.org/abs/1811.12359
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from benchmark.metrics.disentanglement.lasso import lasso_path
from benchmark.metrics.readouts.linear import ROUNDING
from benchmark.metrics.readouts.targets import Array, Circular, Targets, targets
from benchmark.metrics.remarks import few_rows, warn
from benchmark.metrics.results import NONE, JsonRecord, ScoreTable, factor_names, spell, spell_all
from benchmark.metrics.rows import paired_rows

_LEAST_INFORMATIVENESS = 0.05
_NOISE = 20.0  # upper bound of the informativeness of pure noise, times the number of rows
_PENALTIES = 10.0 ** np.linspace(-4, 0, 25)  # relative to the smallest that sets all weights to 0
_VALIDATION = 4  # one row in four of the fitted half chooses the penalty


@dataclass(frozen=True, kw_only=True, repr=False)
class Dci(JsonRecord, ScoreTable):
    """The scores that :func:`dci` measures, for n factors and m codes.

    Arguments:
        disentanglement: weighted mean over codes, in [0, 1]; None if withheld.
        completeness: weighted mean over factors, in [0, 1]; None if withheld.
        informativeness: mean over factors, at most 1.
        disentanglement_per_code: shape (m,); 0 for a dead code; None if withheld.
        completeness_per_factor: shape (n,); 0 for a factor that no code predicts; None if
            withheld.
        informativeness_per_factor: shape (n,).
        importance: importance of each code for each factor, shape (m, n), >= 0; never withheld.
        labels: names of the factors, or None.
        rows: N, the number of fitted and scored rows together; None in records of earlier
            versions.
    """

    disentanglement: float | None
    completeness: float | None
    informativeness: float
    disentanglement_per_code: Array | None
    completeness_per_factor: Array | None
    informativeness_per_factor: Array
    importance: Array
    labels: tuple[str, ...] | None = None
    rows: int | None = None

    def card_title(self) -> str:
        """The title of the card."""
        return "DCI"

    def card(self) -> dict[str, str]:
        """The mean scores, and the data behind them."""
        return {
            "disentanglement": spell(self.disentanglement),
            "completeness": spell(self.completeness),
            "informativeness": spell(self.informativeness),
            "needed informativeness": spell(least_informativeness(self.rows)),
            "rows": NONE if self.rows is None else str(self.rows),
            "codes": str(len(self.importance)),
        }

    def columns(self) -> dict[str, list[str]]:
        """The scores of each factor, and its most important code."""
        count = len(self.informativeness_per_factor)
        return {
            "factor": factor_names(self.labels, count),
            "informativeness": spell_all(self.informativeness_per_factor, count),
            "completeness": spell_all(self.completeness_per_factor, count),
            "most important code": [str(code) for code in self.importance.argmax(axis=0)],
        }

    def notes(self) -> list[str]:
        """The remark on too few rows, and the reason for withheld scores, if any."""
        few = None if self.rows is None else few_rows(self.rows, len(self.importance))
        withheld = (
            "disentanglement and completeness are withheld, since mean informativeness is below "
            f"{spell(least_informativeness(self.rows))}, which pure noise may reach"
        )
        return [*([few] if few else []), *([withheld] if self.disentanglement is None else [])]


def least_informativeness(rows: int | None) -> float:
    """The mean informativeness below which disentanglement and completeness are withheld.

    Arguments:
        rows: N, the number of fitted and scored rows together. None if it is unknown, which
            counts as many rows.
    """
    noise = 0.0 if rows is None else _NOISE / rows
    return min(1.0, max(_LEAST_INFORMATIVENESS, noise))


def dci(
    latents: ArrayLike,
    representations: ArrayLike,
    *,
    seed: int = 0,
    labels: Sequence[str] | None = None,
    circular: Circular = None,
) -> Dci:
    """DCI with weights from the first half of the rows and informativeness from the second.

    Each factor uses one of 25 penalties. To choose it, the Lasso is fitted on three quarters of
    the first half, and the penalty that predicts the other quarter best is used. ``seed`` draws
    that quarter. The weights are then fitted on the whole first half. Disentanglement and
    completeness are withheld below :func:`least_informativeness`. Codes are never merged into
    principal components, because disentanglement is a property of single codes.
    :mod:`benchmark.metrics.disentanglement.lasso` describes the solution for hundreds of codes.

    Arguments:
        latents: true factors z, shape (N, n).
        representations: codes with rows in the same order, shape (N, m).
        seed: seed of the random choice of rows that choose the penalty.
        labels: names of the factors, for the result and for messages; None for the numbers of
            their columns.
        circular: True for each factor that is an angle in rad, n entries; None if there is none.

    Raises:
        ValueError: for the same reasons as :func:`benchmark.metrics.scores.score`, but any number
            of codes is accepted.
    """
    z, codes = paired_rows(latents, representations, labels, circular)
    warn(z, codes, circular)
    return dci_of_rows(z, codes, seed=seed, labels=labels, circular=circular)


def dci_of_rows(
    z: Array,
    codes: Array,
    *,
    seed: int,
    labels: Sequence[str] | None,
    circular: Circular = None,
) -> Dci:
    """Like :func:`dci`, for rows that :func:`benchmark.metrics.rows.paired_rows` returned."""
    half, wanted = len(z) // 2, targets(z, circular)
    penalties = _best_penalties(wanted[:half], codes[:half], np.random.default_rng(seed))
    weights, prediction = _fit(wanted[:half], codes[:half], codes[half:], penalties[None])
    importance = np.sqrt(wanted.pooled(weights[0] ** 2))
    informativeness = wanted[half:].r_squared(prediction[0])
    mean = float(informativeness.mean())
    per_code, per_factor = disentanglement(importance), disentanglement(importance.T)
    withheld = mean < least_informativeness(len(z))
    return Dci(
        disentanglement=None if withheld else _weighted_mean(per_code, importance.sum(axis=1)),
        completeness=None if withheld else _weighted_mean(per_factor, importance.sum(axis=0)),
        informativeness=mean,
        disentanglement_per_code=None if withheld else per_code,
        completeness_per_factor=None if withheld else per_factor,
        informativeness_per_factor=informativeness,
        importance=importance,
        labels=None if labels is None else tuple(map(str, labels)),
        rows=len(z),
    )


def disentanglement(importance: ArrayLike) -> Array:
    """1 - normalised entropy of each row, shape (rows,), in [0, 1].

    Arguments:
        importance: importances, >= 0; codes x factors for disentanglement, factors x codes for
            completeness.

    Returns:
        1 for a row with a single entry above 0; 0 for a row whose entries are all equal.
    """
    rows = np.asarray(importance, dtype=np.float64)
    totals = rows.sum(axis=1, keepdims=True)
    shares = rows / np.where(totals > 0, totals, 1.0)
    logarithms = np.log(np.where(shares > 0, shares, 1.0))
    entropy = -(shares * logarithms).sum(axis=1) / np.log(max(rows.shape[1], 2))
    return np.where(totals[:, 0] > 0, np.clip(1.0 - entropy, 0.0, 1.0), 0.0)


def _best_penalties(wanted: Targets, codes: Array, rng: np.random.Generator) -> Array:
    """For each factor, the penalty that predicts left-out rows best, shape (n,)."""
    rows = len(codes)
    order = rng.permutation(rows)
    held = max(1, rows // _VALIDATION)
    left_out, fitted = order[:held], order[held:]
    grid = np.repeat(_PENALTIES[:, None], wanted.factor[-1] + 1, axis=1)
    _, prediction = _fit(wanted[fitted], codes[fitted], codes[left_out], grid)
    errors = ((wanted[left_out].columns - prediction) ** 2).sum(axis=1)
    return np.asarray(_PENALTIES[wanted.pooled(errors).argmin(axis=0)])


def _fit(wanted: Targets, codes: Array, new_codes: Array, penalties: Array) -> tuple[Array, Array]:
    """Weights (p, m, k) and predictions (p, N, k) for p rows of penalties, shape (p, n)."""
    z = wanted.columns
    x, y = _standardised(codes, codes), _standardised(z, z)
    moments = x.T @ y / len(x)
    absolute = penalties[:, wanted.factor] * np.abs(moments).max(axis=0)
    weights = lasso_path(x.T @ x / len(x), moments, absolute)
    prediction = _standardised(codes, new_codes) @ weights
    return weights, z.mean(axis=0) + z.std(axis=0) * prediction


def _standardised(reference: Array, rows: Array) -> Array:
    """Rows standardised by mean and standard deviation of the reference.

    Columns that are constant in the reference become 0.
    """
    spread = reference.std(axis=0)
    constant = spread <= ROUNDING
    centred = rows - reference.mean(axis=0)
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, spread))


def _weighted_mean(values: Array, weights: Array) -> float:
    total = weights.sum()
    return min(1.0, float(values @ weights / total)) if total > 0 else 0.0
