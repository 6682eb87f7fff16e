"""Numbers that put an MCC in context: chance, choice of codes, bending, rotation, rank.

- The null level is the largest MCC of 100 permutations of the rows of the codes. An MCC of one
  factor that is the best of m unrelated codes is about sqrt(2 ln m / N).
- The held-out MCC assigns codes on the first half of the rows, and is scored on the second half.
- Coverage is the share of factors whose held-out correlation exceeds the largest correlation that
  any factor was assigned in any permutation.
- The nonlinearity gap is Spearman MCC minus Pearson MCC. It is large if codes are bent.
- Weak MCC is the mean canonical correlation, fitted on one half and scored on the other. It is 1
  for every invertible linear map of the factors.
- ICA MCC is the held-out MCC after FastICA, fitted on the first half. It undoes rotations of
  independent factors that are not Gaussian. It is withheld if all components look Gaussian.
- The effective rank is the exponential of the entropy of the singular values of centred codes.

With fewer codes than factors, factors without a code count as 0.

References:
    ICE-BeeM: Identifiable Conditional Energy-Based Deep Models Based on Nonlinear ICA, on strong
    and weak MCC, Khemakhem et al., 2020, https://arxiv.org/abs/2002.11537
    The Effective Rank: A Measure of Effective Dimensionality, Roy and Vetterli, 2007,
    https://ieeexplore.ieee.org/document/7098875
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from benchmark.metrics.correlation.correlations import (
    against,
    assign_codes,
    pearson,
    spearman,
    standardised,
)
from benchmark.metrics.correlation.ica import fast_ica, look_gaussian
from benchmark.metrics.readouts.kernel import whitened
from benchmark.metrics.readouts.linear import FITTED_ROWS_PER_CODE
from benchmark.metrics.readouts.targets import Array, Circular, targets
from benchmark.metrics.remarks import few_rows, warn
from benchmark.metrics.results import NONE, JsonRecord, ScoreTable, factor_names, spell, spell_all
from benchmark.metrics.rows import paired_rows

_PERMUTATIONS = 100
_DEPENDENT = 0.3  # a correlation of two factors that is worth a note
_GAP = 0.05


@dataclass(frozen=True, kw_only=True, repr=False)
class MccContext(JsonRecord, ScoreTable):
    """The numbers that :func:`mcc_context` measures, for n factors and m codes.

    Arguments:
        mcc: MCC over all rows.
        null_level: largest MCC of 100 permutations of the rows.
        factor_level: largest correlation of a factor with its code in any permutation.
        held_out_mcc: mean of ``held_out_per_factor``.
        held_out_per_factor: correlation of each factor on the second half of the rows, with the
            code that the first half assigned to it, shape (n,).
        coverage: share of factors whose held-out correlation is above ``factor_level``.
        gap: Spearman MCC minus Pearson MCC over all rows.
        weak_mcc: mean canonical correlation on the second half.
        ica_mcc: held-out MCC after FastICA; None if it is withheld.
        ica_per_factor: shape (n,); None if it is withheld.
        ica_remark: what is to be said of FastICA; None if it converged on non-Gaussian codes.
        effective_rank: from 1 to m; 0 if all codes are constant.
        factor_correlation: largest absolute correlation of two factors; 0 for one factor.
        codes: m.
        rows: N.
        labels: names of the factors, or None.
    """

    mcc: float
    null_level: float
    factor_level: float
    held_out_mcc: float
    held_out_per_factor: Array
    coverage: float
    gap: float
    weak_mcc: float
    ica_mcc: float | None
    ica_per_factor: Array | None
    ica_remark: str | None
    effective_rank: float
    factor_correlation: float
    codes: int
    rows: int
    labels: tuple[str, ...] | None = None

    def card_title(self) -> str:
        """The title of the card."""
        return "MCC in context"

    def card(self) -> dict[str, str]:
        """The numbers, and the data behind them."""
        return {
            "MCC": spell(self.mcc),
            "null level": spell(self.null_level),
            "held-out MCC": spell(self.held_out_mcc),
            "coverage": spell(self.coverage),
            "Spearman - Pearson": spell(self.gap),
            "weak MCC": spell(self.weak_mcc),
            "MCC after ICA": spell(self.ica_mcc),
            "effective rank": f"{self.effective_rank:.1f} of {self.codes}",
            "rows": str(self.rows),
        }

    def columns(self) -> dict[str, list[str]]:
        """The held-out correlations of each factor."""
        count = len(self.held_out_per_factor)
        return {
            "factor": factor_names(self.labels, count),
            "held-out |Pearson|": spell_all(self.held_out_per_factor, count),
            "after ICA": spell_all(self.ica_per_factor, count),
            "above chance": [
                "yes" if value > self.factor_level else NONE for value in self.held_out_per_factor
            ],
        }

    def notes(self) -> list[str]:
        """Remarks on what MCC does not show for these codes."""
        few = few_rows(self.rows, self.codes)
        found = [] if few is None else [few]
        if self.mcc <= self.null_level:
            found.append("MCC is not above its null level, so codes may be unrelated to factors")
        if self.gap > _GAP:
            found.append("codes are bent, so Pearson MCC is low for factors that they hold")
        if self.factor_correlation > _DEPENDENT:
            found.append(
                f"two factors correlate by {spell(self.factor_correlation)}, which raises MCC of "
                "codes that mix them"
            )
        return found + ([] if self.ica_remark is None else [self.ica_remark])


def mcc_context(
    latents: ArrayLike,
    representations: ArrayLike,
    *,
    seed: int = 0,
    labels: Sequence[str] | None = None,
    circular: Circular = None,
) -> MccContext:
    """The numbers that stand beside an MCC.

    Arguments:
        latents: true factors z, shape (N, n).
        representations: codes with rows in the same order, shape (N, m).
        seed: seed of the permutations and of FastICA.
        labels: names of the factors, for the result and for messages; None for the numbers of
            their columns.
        circular: True for each factor that is an angle in rad, n entries; None if there is none.

    Raises:
        ValueError: for the same reasons as :func:`benchmark.metrics.score`, but any number of
            codes is accepted.
    """
    z, codes = paired_rows(latents, representations, labels, circular)
    warn(z, codes, circular)
    rng = np.random.default_rng(seed)
    whole = assigned(pearson(z, codes, circular=circular))
    by_rank = assigned(spearman(z, codes, circular=circular))
    unit, orders = standardised(codes), (rng.permutation(len(z)) for _ in range(_PERMUTATIONS))
    nulls = np.stack([assigned(against(z[order], unit, circular)) for order in orders])
    held = held_out(z, codes, circular)
    unmixed, remark = _after_ica(z, codes, circular, seed)
    level = float(nulls.max())
    return MccContext(
        mcc=float(whole.mean()),
        null_level=float(nulls.mean(axis=1).max()),
        factor_level=level,
        held_out_mcc=float(held.mean()),
        held_out_per_factor=held,
        coverage=float((held > level).mean()),
        gap=float(by_rank.mean() - whole.mean()),
        weak_mcc=weak_mcc(z, codes, circular),
        ica_mcc=None if unmixed is None else float(unmixed.mean()),
        ica_per_factor=unmixed,
        ica_remark=remark,
        effective_rank=effective_rank(codes),
        factor_correlation=_factor_correlation(z, circular),
        codes=codes.shape[1],
        rows=len(z),
        labels=None if labels is None else tuple(map(str, labels)),
    )


def assigned(correlation: Array) -> Array:
    """The assigned absolute correlation of each factor, shape (n,); 0 without a code."""
    n, m = correlation.shape
    return assign_codes(np.pad(correlation, ((0, 0), (0, max(0, n - m)))))[1]


def held_out(latents: Array, codes: Array, circular: Circular) -> Array:
    """Correlations on the second half with the codes that the first half assigns, shape (n,)."""
    half, n = len(latents) // 2, latents.shape[1]
    padded = np.pad(codes, ((0, 0), (0, max(0, n - codes.shape[1]))))
    first = pearson(latents[:half], padded[:half], circular=circular)
    second = pearson(latents[half:], padded[half:], circular=circular)
    return np.asarray(np.abs(second[np.arange(n), assign_codes(first)[0]]))


def weak_mcc(latents: Array, codes: Array, circular: Circular = None) -> float:
    """Mean canonical correlation of factors and codes on the second half of the rows.

    It is fitted on the first half. A circular factor counts as two columns, cosine and sine. With
    many codes, only their leading principal components are used, one for five fitted rows.
    """
    half = len(latents) // 2
    columns = targets(latents, circular).columns
    most = max(1, half // FITTED_ROWS_PER_CODE)
    z, x = (whitened(rows[:half], rows, most) for rows in (columns, codes))
    left, _, right = np.linalg.svd(z[:half].T @ x[:half], full_matrices=False)
    pairs = pearson(z[half:] @ left, x[half:] @ right.T).diagonal()
    return float(np.abs(pairs).sum() / columns.shape[1])


def effective_rank(codes: Array) -> float:
    """The exponential of the entropy of the singular values of centred codes, shape (N, m)."""
    values = np.linalg.svd(codes - codes.mean(axis=0), compute_uv=False)
    shares = values[values > 0] / (values.sum() or 1.0)
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


def _after_ica(
    latents: Array, codes: Array, circular: Circular, seed: int
) -> tuple[Array | None, str | None]:
    """Held-out correlations after FastICA, and what is to be said of it."""
    half = len(latents) // 2
    most = min(targets(latents[:2], circular).columns.shape[1], half // FITTED_ROWS_PER_CODE)
    unmixing = fast_ica(codes[:half], most, seed)
    count = unmixing.weights.shape[1]
    if not count:
        return None, "ICA is withheld, since there are too few rows, or all codes are constant"
    components = unmixing.components(codes)
    gaussian = int(look_gaussian(components[half:]).sum())
    if gaussian == count:
        return None, "ICA is withheld, since all its components look Gaussian"
    remarks = []
    if not unmixing.converged:
        remarks.append("ICA did not converge")
    if gaussian > 1:
        remarks.append(f"{gaussian} of {count} ICA components look Gaussian and stay mixed")
    return held_out(latents, components, circular), "; ".join(remarks) or None


def _factor_correlation(latents: Array, circular: Circular) -> float:
    """The largest absolute Pearson correlation of columns of two different factors."""
    wanted = targets(latents, circular)
    matrix = np.abs(pearson(wanted.columns, wanted.columns))
    return float(np.where(wanted.factor[:, None] == wanted.factor, 0.0, matrix).max())
