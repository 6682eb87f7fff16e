"""Tables of experiments: rows of options, and the figures that the paper reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from benchmark.suites.needs import Needs


class Figure(NamedTuple):
    """A percentage, and its standard deviation or None."""

    mean: float
    sd: float | None = None


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Arguments:
        name: short name, unique in its table; also the name of its folder.
        options: options of ``threedident benchmark``, in addition to those of the table.
        paper: the figure of each score that the paper reports.
        matches: True if the model has the form that the theory requires.
        small: options that replace those of the row at the small scale.
        published: options that replace those of the row by the published protocol.
        folder: folder below that of the data, which the row reads; None for the data itself.
        needs: requirements on that folder; None for those of the table.
    """

    name: str
    options: Mapping[str, Any]
    paper: Mapping[str, Figure]
    matches: bool = False
    small: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, Any] = field(default_factory=dict)
    folder: str | None = None
    needs: Needs | None = None


@dataclass(frozen=True)
class Table:
    """A table of the paper.

    Arguments:
        name: name for ``--suite``.
        title: title of the table.
        scores: names of the scores in ``scores.json``, which are the columns.
        rows: rows in the order of the paper, baselines first.
        paper: options of every row, in addition to the paper's values for its source.
        small: options that replace those of ``paper`` at the small scale.
        takes_data: True if the rows read a data set.
        needs: requirements on a data set of images; None if the rows need no images.
    """

    name: str
    title: str
    scores: tuple[str, ...]
    rows: tuple[Row, ...]
    paper: Mapping[str, Any]
    small: Mapping[str, Any]
    takes_data: bool = False
    needs: Needs | None = None

    def options(self, row: Row, scale: str, protocol: str = "held-out") -> dict[str, Any]:
        """All options of a row. Its own options override those that all rows share."""
        return {**self.shared(scale), **self.own(row, scale, protocol), "protocol": protocol}

    def shared(self, scale: str) -> dict[str, Any]:
        """The options that all rows share."""
        return {**self.paper, **self.small} if scale == "small" else dict(self.paper)

    def own(self, row: Row, scale: str, protocol: str = "held-out") -> dict[str, Any]:
        """The options that a row sets itself."""
        small = row.small if scale == "small" else {}
        return {**row.options, **small, **(row.published if protocol == "published" else {})}
