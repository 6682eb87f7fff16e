"""Search for positives among the rows that agree exactly with the anchor in what a rule keeps.

Agreement is possible in factors whose values rows share, such as those on a grid. In a factor of
continuous values two rows agree by accident only, so it takes part in the distance instead. A
factor counts as shared if at least half of the rows have another row with the same value.

For a rule that changes other factors in each pair, the rows agree in what that pair keeps. If the
rule has more than 64 such sets of factors, only those that every pair keeps count.

A small group of rows that agree is compared at once. A large one has an index of its own. It is
approximate only if all pairs keep the same shared factors, so that all indexes are built at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from threedident.conditionals.rules.rule import Rule
from threedident.index.nearest import NearestLatents
from threedident.index.neighbors import rank
from threedident.index.projection import Projection
from threedident.latents.layout import Unit

_MOST_SETS = 64
_SHARED = 0.5  # share of rows with a partner
_SMALL = 256  # rows of a group that are compared at once; larger groups have an index
_BLOCK = 512  # queries at a time, to limit memory
Rows = NDArray[np.int64]


class Agreement:
    """The rows of a data set by the values that they share.

    Arguments:
        latents: raw latents, shape (N, d), float32.
        rule: rule of the positives.
        index: index over all latents, which decides on the distance and on exact search.

    Attributes:
        shared: units in which rows can agree; none if all values are continuous.
    """

    def __init__(self, latents: NDArray[np.float32], rule: Rule, index: NearestLatents) -> None:
        units = rule.layout.units
        wanted = [*rule.kept, *(rule.sometimes if rule.masks <= _MOST_SETS else ())]
        coded = {unit.name: _codes(latents, unit) for unit in wanted}
        self.shared = tuple(unit for unit in units if _is_shared(coded.get(unit.name)))
        self._places = [units.index(unit) for unit in self.shared]
        self._codes = [coded[unit.name] for unit in self.shared]
        self._latents, self._factors = latents, index.factors
        self._projection = Projection(latents.shape[1], index.factors)
        self._points = self._projection.points(latents.astype(np.float64), "latents")
        self._groups: dict[tuple[bool, ...], _Groups] = {}
        self._kind = "exact"
        one_set = not set(self.shared) & set(rule.sometimes)
        if self.shared and one_set and index.kind != "exact":
            self._kind = "auto"  # indexes must be built before loader processes are started
            self._open(tuple(True for _ in self.shared)).open_indexes(self._index_of)

    def search(self, anchors: Rows, drawn: NDArray[np.float64], kept: NDArray[np.bool_]) -> Rows:
        """The nearest other row that agrees with each anchor in what its pair keeps.

        Arguments:
            anchors: rows of the anchors, shape (B,).
            drawn: latents whose nearest rows are searched, shape (B, d).
            kept: True for units of the rule's layout that a pair keeps, shape (B, units).

        Returns:
            Shape (B,); -1 where the pair keeps no shared unit, or no other row agrees.
        """
        found = np.full(len(anchors), -1)
        sets = kept[:, self._places]
        for some in np.unique(sets, axis=0):
            here = np.flatnonzero((sets == some).all(axis=1))
            if some.any():
                found[here] = self._search(anchors[here], drawn[here], tuple(some.tolist()))
        return found

    def _search(self, anchors: Rows, drawn: NDArray[np.float64], kept: tuple[bool, ...]) -> Rows:
        groups = self._open(kept)
        found, sizes = np.full(len(anchors), -1), groups.sizes(anchors)
        near = np.empty((len(anchors), 2), np.int64)
        small = np.flatnonzero((sizes > 1) & (sizes <= _SMALL))
        for start in range(0, len(small), _BLOCK):
            some = small[start : start + _BLOCK]
            queries = self._projection.points(drawn[some], "queries")
            near[some] = rank(self._points, queries, groups.candidates(anchors[some]), 2).indices
        large = np.flatnonzero(sizes > _SMALL)
        for group, some in groups.split(anchors, large):
            near[some] = self._near_in(groups, group, drawn[some])
        paired = sizes > 1
        first, second = near[paired].T
        found[paired] = np.where(first == anchors[paired], second, first)
        return found

    def _open(self, kept: tuple[bool, ...]) -> _Groups:
        if kept not in self._groups:
            codes = [code for code, used in zip(self._codes, kept, strict=True) if used]
            self._groups[kept] = _Groups(_joined(codes))
        return self._groups[kept]

    def _near_in(self, groups: _Groups, group: int, drawn: NDArray[np.float64]) -> Rows:
        if group not in groups.indexes:
            groups.indexes[group] = self._index_of(groups.members(group))
        found = groups.indexes[group].search(drawn, k=2).indices
        return np.asarray(groups.members(group)[found])

    def _index_of(self, members: Rows) -> NearestLatents:
        return NearestLatents(self._latents[members], self._kind, factors=self._factors)


class _Groups:
    """Rows in groups of the same code.

    Arguments:
        codes: code of each row from 0 on, shape (N,).
    """

    def __init__(self, codes: Rows) -> None:
        self._codes = codes
        self._order = np.argsort(codes, kind="stable")  # so that members ascend
        self._sizes = np.bincount(codes)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self.indexes: dict[int, NearestLatents] = {}

    def sizes(self, rows: Rows) -> Rows:
        """Number of rows in the group of each row, shape (B,)."""
        return np.asarray(self._sizes[self._codes[rows]])

    def members(self, group: int) -> Rows:
        """Rows of a group, ascending."""
        start = self._starts[group]
        return np.asarray(self._order[start : start + self._sizes[group]])

    def candidates(self, rows: Rows) -> Rows:
        """Members of the group of each row, shape (B, size of the largest); -1 in empty places."""
        groups = self._codes[rows]
        places = np.arange(self._sizes[groups].max())
        inside = places < self._sizes[groups][:, None]
        found = self._order[
            (self._starts[groups][:, None] + places).clip(max=len(self._order) - 1)
        ]
        return np.where(inside, found, -1)

    def open_indexes(self, index_of: Callable[[Rows], NearestLatents]) -> None:
        """Open the index of every group that is not compared at once."""
        for group in np.flatnonzero(self._sizes > _SMALL).tolist():
            self.indexes[group] = index_of(self.members(group))

    def split(self, rows: Rows, places: Rows) -> Sequence[tuple[int, Rows]]:
        """The given places of ``rows`` by the group of their row."""
        groups = self._codes[rows[places]]
        return [(int(group), places[groups == group]) for group in np.unique(groups)]


def _codes(latents: NDArray[np.float32], unit: Unit) -> Rows:
    """Numbers from 0 on that are equal for rows with equal values of a unit, shape (N,)."""
    columns = [_numbered(latents[:, column]) for column in unit.columns]
    return _joined(columns)


def _joined(codes: Sequence[Rows]) -> Rows:
    """Codes that are equal where all of some codes are equal."""
    whole, *others = codes
    for code in others:
        whole = _numbered(whole * (code.max() + 1) + code)
    return whole


def _numbered(values: NDArray[Any]) -> Rows:
    return np.asarray(np.unique(values, return_inverse=True)[1], np.int64)


def _is_shared(codes: Rows | None) -> bool:
    """True if rows share values of a unit, but not all the same one, in which all agree anyway."""
    if codes is None or not codes.any():
        return False
    return bool((np.bincount(codes)[codes] > 1).mean() >= _SHARED)
