"""R^2 of groups of factors from all codes and from blocks of codes, and leakage.

A group is a set of factors, such as the positions or the content. A block is a set of codes. R^2
of a group is the mean over its factors. The leakage of a factor is the R^2 of the nonlinear
readout from all codes outside the block of its group, divided by that from all codes: 0 if only
its own block holds it, 1 if it is held elsewhere as well. It is not defined for a factor with an
R^2 from all codes below 0.05, and counts as 0 there.

If no blocks are given, the block of a group holds the codes that the optimal assignment gives to
its factors, and codes without a factor form the block ``spare``. The assignment uses correlations
of the fitted half alone. Correlated factors raise R^2 outside the own block, although no code
leaks.

Linear R^2 is that of :func:`benchmark.metrics.score`. Nonlinear R^2 uses at most 3,000 rows.
Categories have the accuracy of logistic regression, beside that of the most frequent class.

References:
    Self-Supervised Learning with Data Augmentations Provably Isolates Content from Style, on
    readouts of groups, von Kuegelgen et al., 2021, https://arxiv.org/abs/2106.04619
    CITRIS: Causal Identifiability from Temporal Intervened Sequences, on readouts of blocks,
    Lippe et al., 2022, https://arxiv.org/abs/2202.03169
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.metrics.correlation.correlations import assign_codes, pearson
from benchmark.metrics.readouts.linear import held_out_r2, suitable_fit
from benchmark.metrics.readouts.logistic import accuracies
from benchmark.metrics.readouts.nonlinear import read_nonlinear
from benchmark.metrics.readouts.targets import Array, Circular, targets
from benchmark.metrics.remarks import warn
from benchmark.metrics.results import JsonRecord, ScoreTable, spell, spell_all
from benchmark.metrics.rows import paired_rows
from threedident.latents.factors import FACTORS

Groups = Mapping[str, Sequence[int]]
Numbers = NDArray[np.int64]

_CURVED_ROWS = 3000
_LEAST_R2 = 0.05
SPARE = "spare"


@dataclass(frozen=True, kw_only=True, repr=False)
class Blocks(JsonRecord, ScoreTable):
    """The scores that :func:`blocks` measures, for g groups and b blocks of codes.

    Arguments:
        groups: names of the groups of factors.
        blocks: names of the blocks of codes.
        sizes: number of codes of each block, shape (b,).
        linear: linear R^2 of each group from all codes and from each block, shape (g, 1 + b).
        nonlinear: nonlinear R^2, shape (g, 1 + b).
        leakage: mean over the factors of each group, in [0, 1], shape (g,).
        categories: names of the factors that are categories; None if there is none.
        accuracy: accuracy for each category from all codes and from each block, or None.
        majority: share of the most frequent class of each category, or None.
    """

    groups: tuple[str, ...]
    blocks: tuple[str, ...]
    sizes: Array
    linear: Array
    nonlinear: Array
    leakage: Array
    categories: tuple[str, ...] | None = None
    accuracy: Array | None = None
    majority: Array | None = None

    def card_title(self) -> str:
        """The title of the card."""
        return "Blocks"

    def card(self) -> dict[str, str]:
        """The sizes of the blocks."""
        sizes = zip(self.blocks, self.sizes, strict=True)
        return {"codes of": ", ".join(f"{name} {int(size)}" for name, size in sizes)}

    def columns(self) -> dict[str, list[str]]:
        """Nonlinear R^2 of each group, after linear R^2 from all codes."""
        count = len(self.groups)
        per_block = zip(self.blocks, self.nonlinear[:, 1:].T, strict=True)
        return {
            "group": list(self.groups),
            "linear R²": spell_all(self.linear[:, 0], count),
            "nonlinear R²": spell_all(self.nonlinear[:, 0], count),
            **{f"from {name}": spell_all(values, count) for name, values in per_block},
            "leakage": spell_all(self.leakage, count),
        }

    def notes(self) -> list[str]:
        """The accuracies of categories, if any."""
        if self.categories is None or self.accuracy is None or self.majority is None:
            return []
        return [
            f"{name}: accuracy {spell(row[0])} from all codes, most frequent class {spell(most)}"
            for name, row, most in zip(self.categories, self.accuracy, self.majority, strict=True)
        ]


def blocks(
    latents: ArrayLike,
    representations: ArrayLike,
    *,
    groups: Groups | None = None,
    code_blocks: Groups | None = None,
    seed: int = 0,
    labels: Sequence[str] | None = None,
    circular: Circular = None,
    categories: Sequence[bool] | None = None,
) -> Blocks:
    """R^2 of groups of factors from all codes and from blocks of codes.

    Arguments:
        latents: true factors z, shape (N, n).
        representations: codes with rows in the same order, shape (N, m).
        groups: numbers of the factors of each group. None for position, rotation, spotlight and
            hue if the labels are those of 3DIdent, else for one group for each factor.
        code_blocks: numbers of the codes of each block, by the name of its group; blocks of other
            names belong to no group. None for the codes that are assigned to each group.
        seed: seed of the readouts.
        labels: names of the factors; None for the numbers of their columns.
        circular: True for each factor that is an angle in rad, n entries; None if there is none.
        categories: True for each factor that is a category; None if there is none.

    Raises:
        ValueError: for the same reasons as :func:`benchmark.metrics.score`, but any number of
            codes is accepted; or a group or block is empty, or names a column that does not exist.
    """
    z, codes = paired_rows(latents, representations, labels, circular)
    warn(z, codes, circular)
    n, m = z.shape[1], codes.shape[1]
    names = [str(i) for i in range(n)] if labels is None else list(map(str, labels))
    kinds = _kinds(categories, n)
    chosen = _checked("groups", groups or usual_groups(names), n, "factors")
    chosen = {k: np.setdiff1d(v, np.flatnonzero(kinds)) for k, v in chosen.items()}
    chosen = {name: factors for name, factors in chosen.items() if len(factors)}
    parts = (
        _assigned_blocks(z, codes, chosen, circular)
        if code_blocks is None
        else _checked("code_blocks", code_blocks, m, "codes")
    )
    everything = [np.arange(m), *parts.values()]
    linear = np.stack([_linear(z, codes[:, part], circular) for part in everything], axis=1)
    curved = np.stack([_curved(z, codes[:, part], circular, seed) for part in everything], axis=1)
    leakage = np.array(
        [
            _leak(z, codes, factors, curved[:, 0], parts.get(name), circular, seed)
            for name, factors in chosen.items()
        ]
    )
    found = _categories(z, codes, np.flatnonzero(kinds), everything)
    return Blocks(
        groups=tuple(chosen),
        blocks=tuple(parts),
        sizes=np.array([len(part) for part in parts.values()], dtype=np.float64),
        linear=np.stack([linear[factors].mean(axis=0) for factors in chosen.values()]),
        nonlinear=np.stack([curved[factors].mean(axis=0) for factors in chosen.values()]),
        leakage=leakage,
        categories=tuple(names[i] for i in np.flatnonzero(kinds)) if kinds.any() else None,
        accuracy=None if found is None else found[0],
        majority=None if found is None else found[1],
    )


def usual_groups(names: Sequence[str]) -> dict[str, list[int]]:
    """The groups of 3DIdent, if all names are those of its factors; else each factor alone."""
    known = {key: factor.group for factor in FACTORS for key in (factor.name, factor.label)}
    if not set(names) <= known.keys():
        return {name: [i] for i, name in enumerate(names)}
    found: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        found.setdefault(known[name], []).append(i)
    return found


def _checked(name: str, given: Groups, count: int, what: str) -> dict[str, Numbers]:
    """The groups as arrays.

    Raises:
        ValueError: a group is empty, or names a column that does not exist.
    """
    found = {}
    for key, numbers in given.items():
        values = np.array(list(numbers))
        if not len(values) or not np.isin(values, np.arange(count)).all():
            raise ValueError(
                f"{name}: expected numbers of {what} from 0 to {count - 1} in {key}, found "
                f"{list(numbers)}; name columns that exist"
            )
        found[key] = np.unique(values)
    return found


def _kinds(categories: Sequence[bool] | None, n: int) -> NDArray[np.bool_]:
    if categories is None:
        return np.zeros(n, dtype=bool)
    if len(categories) != n:
        raise ValueError(
            f"categories: expected {n} bools, one a factor, found {len(categories)}; give True "
            "for each factor that is a category"
        )
    return np.array(categories, dtype=bool)


def _assigned_blocks(
    z: Array, codes: Array, groups: Mapping[str, Numbers], circular: Circular
) -> dict[str, Numbers]:
    half, n, m = len(z) // 2, z.shape[1], codes.shape[1]
    found = np.pad(
        pearson(z[:half], codes[:half], circular=circular), ((0, 0), (0, max(0, n - m)))
    )
    code = assign_codes(found)[0]
    parts = {name: np.sort(code[factors][code[factors] < m]) for name, factors in groups.items()}
    spare = np.setdiff1d(np.arange(m), np.concatenate(list(parts.values())))
    return {name: part for name, part in {**parts, SPARE: spare}.items() if len(part)}


def _linear(z: Array, codes: Array, circular: Circular) -> Array:
    return held_out_r2(z, codes, circular)[0]


def _curved(z: Array, codes: Array, circular: Circular, seed: int) -> Array:
    rows = np.r_[: len(z)][:: max(1, len(z) // _CURVED_ROWS)][:_CURVED_ROWS]
    fit = suitable_fit(len(rows) // 2, codes.shape[1])
    return read_nonlinear(targets(z[rows], circular), codes[rows], seed, fit).r2


def _leak(
    z: Array,
    codes: Array,
    factors: Numbers,
    whole: Array,
    own: Numbers | None,
    circular: Circular,
    seed: int,
) -> float:
    """Mean over factors of the share of R^2 found outside their own block."""
    outside = np.setdiff1d(np.arange(codes.shape[1]), [] if own is None else own)
    if not len(outside):
        return 0.0
    away = _curved(z, codes[:, outside], circular, seed)[factors]
    shares = away / np.maximum(whole[factors], _LEAST_R2)
    return float(np.where(whole[factors] < _LEAST_R2, 0.0, np.clip(shares, 0.0, 1.0)).mean())


def _categories(
    z: Array, codes: Array, columns: Numbers, parts: Sequence[Numbers]
) -> tuple[Array, Array] | None:
    """Accuracies (categories, 1 + b) and shares of the most frequent class (categories,)."""
    if not len(columns):
        return None
    classes = [np.unique(z[:, i], return_inverse=True)[1] for i in columns]
    found = np.array([[accuracies(c, codes[:, part]) for part in parts] for c in classes])
    return found[..., 0], found[:, 0, 1]
