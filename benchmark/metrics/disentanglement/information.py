"""Scores by mutual information of binned factors and codes, and SAP.

Factors and codes are cut into 20 bins of equal counts, so monotone maps of either change nothing.
An angle is cut into 20 equal arcs of its circle by rank. I_ij is the mutual information of code i
and factor j, estimated from the counts of the bins, and H_j the entropy of the binned factor. The
share S_ij = (I_ij - I_0) / (H_j - I_0), and at least 0, where I_0 is the mean of I_ij over five
permutations of the rows: 0 for unrelated codes, 1 for equal bins. Of n factors and m codes,

- MIG is the mean over factors of the difference of the two largest shares,
- SAP is the mean over factors of the difference of the two largest squared correlations,
- modularity is the mean over codes of 1 - sum_{j != max} S_ij^2 / (S_i,max^2 (n - 1)),
- InfoM is (mean over codes of max_j S_ij / sum_j S_ij - 1/n) / (1 - 1/n),
- InfoC is (mean over factors of max_i S_ij / sum_i S_ij - 1/m) / (1 - 1/m),
- InfoE is the mean over factors of the share of the entropy of the factor, in 5 bins, that
  logistic regression on all codes explains on held-out rows.

These are the scores of InfoMEC, with rank bins in place of nearest neighbours and of discrete
factors. InfoE is near 1 if factors are linear in the codes: 0.98 for 2,000 rows of perfect codes,
0.99 for 10,000.
A factor or code counts only if some of its shares exceeds 0.02 and twice the largest value of
the permutations. If no factor is left, nothing is informative: all scores but InfoE are None.

References:
    Isolating Sources of Disentanglement in Variational Autoencoders, on MIG, Chen et al., 2018,
    https://arxiv.org/abs/1802.04942
    Variational Inference of Disentangled Latent Concepts from Unlabeled Observations, on SAP,
    Kumar et al., 2018, https://arxiv.org/abs/1711.00848
    Learning Deep Disentangled Embeddings with the F-Statistic Loss, on modularity, Ridgeway and
    Mozer, 2018, https://arxiv.org/abs/1802.05312
    Disentanglement via Latent Quantization, on InfoMEC, Hsu et al., 2023,
    https://arxiv.org/abs/2305.18378
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from benchmark.metrics.correlation.correlations import pearson
from benchmark.metrics.readouts.logistic import explained_entropy
from benchmark.metrics.readouts.targets import Array, Circular
from benchmark.metrics.remarks import warn
from benchmark.metrics.results import JsonRecord, ScoreTable, factor_names, spell, spell_all
from benchmark.metrics.rows import paired_rows

BINS = 20
_BINS_PER_EXPLICIT = 4  # InfoE joins so many bins to one
_PERMUTATIONS = 5
_LEAST_SHARE = 0.02

Bins = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, repr=False)
class Information(JsonRecord, ScoreTable):
    """The scores that :func:`information` measures, for n factors and m codes.

    Arguments:
        mig: in [0, 1]; None, like the next four, if no factor is informative.
        sap: in [0, 1].
        modularity: in [0, 1].
        info_m: in [0, 1].
        info_c: in [0, 1].
        info_e: in [0, 1].
        shares: S_ij, codes x factors, shape (m, n), >= 0.
        informative: for each factor 1 if it counts, 0 if not, shape (n,).
        level: value that shares must exceed.
        labels: names of the factors, or None.
    """

    mig: float | None
    sap: float | None
    modularity: float | None
    info_m: float | None
    info_c: float | None
    info_e: float
    shares: Array
    informative: NDArray[np.int64]
    level: float
    labels: tuple[str, ...] | None = None

    def card_title(self) -> str:
        """The title of the card."""
        return "Information"

    def scores(self) -> dict[str, float | None]:
        """The mean scores by name; None if one is withheld."""
        return {
            "MIG": self.mig,
            "SAP": self.sap,
            "modularity": self.modularity,
            "InfoM": self.info_m,
            "InfoC": self.info_c,
            "InfoE": self.info_e,
        }

    def card(self) -> dict[str, str]:
        """The mean scores."""
        bins = f"{BINS} of equal counts, {BINS // _BINS_PER_EXPLICIT} for InfoE"
        return {**{name: spell(value) for name, value in self.scores().items()}, "bins": bins}

    def columns(self) -> dict[str, list[str]]:
        """The most informative code of each factor."""
        count = self.shares.shape[1]
        return {
            "factor": factor_names(self.labels, count),
            "largest share": spell_all(self.shares.max(axis=0), count),
            "code": [str(code) for code in self.shares.argmax(axis=0)],
        }

    def notes(self) -> list[str]:
        """The reason for withheld scores, if any."""
        if self.informative.all():
            return []
        count = int((self.informative == 0).sum())
        if count == len(self.informative):
            which, what = "any factor", "all scores but InfoE are withheld"
        else:
            which, what = f"{count} factors", "they lower MIG and SAP, and count no further"
        return [
            f"no code is informative on {which} (its share is below {spell(self.level)}); {what}"
        ]


def information(
    latents: ArrayLike,
    representations: ArrayLike,
    *,
    seed: int = 0,
    labels: Sequence[str] | None = None,
    circular: Circular = None,
) -> Information:
    """MIG, SAP, modularity, InfoM and InfoC over all rows, and InfoE on the second half.

    Arguments:
        latents: true factors z, shape (N, n).
        representations: codes with rows in the same order, shape (N, m).
        seed: seed of the permutations.
        labels: names of the factors; None for the numbers of their columns.
        circular: True for each factor that is an angle in rad, n entries; None if there is none.

    Raises:
        ValueError: for the same reasons as :func:`benchmark.metrics.score`, but any number of
            codes is accepted.
    """
    z, codes = paired_rows(latents, representations, labels, circular)
    warn(z, codes, circular)
    angles = np.zeros(z.shape[1], dtype=bool) if circular is None else np.asarray(circular)
    factors = rank_bins(np.where(angles, np.mod(z, 2 * np.pi), z))
    binned, rng = rank_bins(codes), np.random.default_rng(seed)
    entropies = np.array([entropy(column) for column in factors.T])
    nulls = np.stack(
        [
            mutual_information(binned[rng.permutation(len(z))], factors) / entropies
            for _ in range(_PERMUTATIONS)
        ]
    )
    raw = mutual_information(binned, factors) / entropies
    chance = nulls.mean(axis=0)
    shares = np.maximum((raw - chance) / (1.0 - chance), 0.0)
    level = float(max(_LEAST_SHARE, 2.0 * (nulls - chance).max()))
    known, live = (shares > level).any(axis=0), (shares > level).any(axis=1)
    explicit = factors // _BINS_PER_EXPLICIT
    squares = pearson(z, codes, circular=circular).T ** 2
    some = bool(known.any())
    seen = shares[np.ix_(live, known)]
    whole = np.where(live[:, None], shares, 0.0)
    return Information(
        mig=_gap(shares) if some else None,
        sap=_gap(squares) if some else None,
        modularity=_modularity(whole[live], z.shape[1]) if some else None,
        info_m=_concentration(whole[live][:, known], z.shape[1]) if some else None,
        info_c=_concentration(seen.T, codes.shape[1]) if some else None,
        info_e=float(np.mean([explained_entropy(column, codes) for column in explicit.T])),
        shares=shares,
        informative=known.astype(np.int64),
        level=level,
        labels=None if labels is None else tuple(map(str, labels)),
    )


def rank_bins(rows: Array) -> Bins:
    """Numbers of the bins of equal counts, shape (N, c); equal values share a bin."""
    return np.asarray((rankdata(rows, axis=0) - 0.5) * BINS // len(rows), dtype=np.int64)


def entropy(bins: Bins) -> float:
    """Entropy of a column of bins in nats."""
    shares = np.bincount(bins) / len(bins)
    return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())


def mutual_information(codes: Bins, factors: Bins) -> Array:
    """Mutual information of every code with every factor in nats, shape (codes, factors)."""
    found = np.empty((codes.shape[1], factors.shape[1]))
    for i, code in enumerate(codes.T):
        for j, factor in enumerate(factors.T):
            joint = entropy(code * BINS + factor)
            found[i, j] = entropy(code) + entropy(factor) - joint
    return np.maximum(found, 0.0)


def _gap(values: Array) -> float:
    """Mean over columns of the largest entry minus the second largest."""
    ordered = np.sort(np.pad(values, ((1, 0), (0, 0))), axis=0)
    return float((ordered[-1] - ordered[-2]).mean())


def _modularity(shares: Array, factors: int) -> float:
    if factors == 1:
        return 1.0
    largest = shares.max(axis=1)
    rest = (shares**2).sum(axis=1) - largest**2
    return float((1.0 - rest / (largest**2 * (factors - 1))).mean())


def _concentration(shares: Array, most: int) -> float:
    """The mean largest share of each row, rescaled so that equal shares over ``most`` are 0."""
    if most == 1:
        return 1.0
    found = (shares.max(axis=1) / shares.sum(axis=1)).mean()
    return float(max(0.0, (found - 1.0 / most) / (1.0 - 1.0 / most)))
