"""What a table of experiments is: rows of options, and the figures that were reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Figure(NamedTuple):
    """A percentage, and its standard deviation where the paper gives one."""

    mean: float
    sd: float | None = None


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Arguments:
        name: short, unique in its table; also that of its folder.
        options: of ``threedident benchmark``, beside those of the table.
        paper: the reported figure of each score that the paper gives.
        matches: whether the model has the form that the theory asks for.
        small: options that replace the row's own at the small scale.
    """

    name: str
    options: Mapping[str, Any]
    paper: Mapping[str, Figure]
    matches: bool = False
    small: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Arguments:
        name: as ``--suite`` takes it.
        title: what it shows.
        scores: the columns, names in ``scores.json``.
        rows: in the paper's order, baselines first.
        paper: options of every row, beside those that its source has from the paper.
        small: options that replace those at the small scale.
        takes_data: whether the rows read a data set.
    """

    name: str
    title: str
    scores: tuple[str, ...]
    rows: tuple[Row, ...]
    paper: Mapping[str, Any]
    small: Mapping[str, Any]
    takes_data: bool = False

    def options(self, row: Row, scale: str) -> dict[str, Any]:
        """All options of a row: its own win over the scale's, and these over the paper's."""
        return {**self.shared(scale), **self.own(row, scale)}

    def shared(self, scale: str) -> dict[str, Any]:
        """The options that rows share."""
        return {**self.paper, **self.small} if scale == "small" else dict(self.paper)

    def own(self, row: Row, scale: str) -> dict[str, Any]:
        """The options in which a row differs from the shared ones."""
        return {**row.options, **row.small} if scale == "small" else dict(row.options)
