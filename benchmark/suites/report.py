"""Our results next to the paper's: as a table in the terminal, as CSV, as LaTeX and as a page.

The difference is given in standard deviations, (ours - paper) / sqrt(sd_ours^2 + sd_paper^2), if
both are known.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from benchmark.metrics.remarks import notes_on_runs
from benchmark.pages.template import page_template
from benchmark.suites import figures as suite_figures
from benchmark.suites.departures import DEPARTURES
from benchmark.suites.table import Figure, Row, Table
from benchmark.training.folder import RunFolder
from threedident.runtime.files import write_bytes

_NAMES = {"r2": "R²", "mcc": "MCC", "mcc_spearman": "MCC (Spearman)"}
_UNKNOWN = "-"
_HEADER = ("row", "M", "score", "ours", "sd", "seeds", "paper", "paper sd", "difference in sd")


@dataclass(frozen=True)
class Outcome:
    """The scores of a finished row.

    Arguments:
        row: row of the table.
        scores: content of the ``scores.json`` of its run.
        records: scores over the steps, lines of its ``metrics.jsonl``.
    """

    row: Row
    scores: dict[str, Any]
    records: list[dict[str, Any]]

    def ours(self, score: str) -> Figure:
        """Our mean and standard deviation over the seeds, in percent."""
        sd = self.scores[f"{score}_sd"]
        return Figure(100 * float(self.scores[score]), None if sd is None else 100 * float(sd))

    @property
    def seeds(self) -> int:
        """Number of trained seeds."""
        return len(self.scores["seeds"])

    def paper(self, score: str) -> Figure | None:
        """The figure reported in the paper, or None."""
        return self.row.paper.get(score)

    def distance(self, score: str) -> float | None:
        """Our score minus the paper's, in standard deviations; None if one of them is unknown."""
        ours, paper = self.ours(score), self.paper(score)
        if paper is None or ours.sd is None or paper.sd is None:
            return None
        spread = math.hypot(ours.sd, paper.sd)
        return (ours.mean - paper.mean) / spread if spread else None


def read_outcome(row: Row, folder: RunFolder) -> Outcome | None:
    """The scores of a row; None if its run is not finished.

    Raises:
        ValueError: the file of the scores is damaged.
    """
    if not folder.scores.is_file():
        return None
    try:
        outcome = Outcome(row, folder.read_scores(), folder.scored())
        if not (outcome.seeds and all(map(outcome.ours, _NAMES))):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{folder.scores}: expected the scores of a run, found a damaged file; delete it, and "
            "the run is scored again"
        ) from None
    return outcome


def say_outcome(outcome: Outcome) -> str:
    """One line of text with the scores of a finished row."""
    parts = []
    for score, name in _NAMES.items():
        paper = outcome.paper(score)
        if paper is not None:
            parts.append(f"{name} {_spell(outcome.ours(score))} (paper {_spell(paper)})")
    return f"{outcome.row.name}: {', '.join(parts) or 'done'}"


def write_suite(
    table: Table,
    scale: str,
    protocol: str,
    outcomes: Sequence[Outcome],
    root: Path,
    command: str,
) -> Path:
    """Print the table, and write ``table.csv``, ``table.tex`` and ``report.html``.

    Arguments:
        table: table of the paper.
        scale: scale of the runs.
        protocol: protocol of the runs.
        outcomes: finished rows, in the order of the table.
        root: folder of the suite.
        command: command that runs the suite again.

    Returns:
        The path of the page.
    """
    Console().print(_grid(table, scale, outcomes))
    write_bytes(root / "table.csv", _csv(table, outcomes).encode())
    write_bytes(root / "table.tex", _latex(table, outcomes).encode())
    page = root / "report.html"
    write_bytes(page, _page(table, scale, protocol, outcomes, command).encode())
    return page


def _cells(table: Table, outcomes: Sequence[Outcome]) -> Iterator[tuple[Outcome, str]]:
    for outcome in outcomes:
        for score in table.scores:
            yield outcome, score


def _spell(figure: Figure | None) -> str:
    if figure is None:
        return _UNKNOWN
    return f"{figure.mean:.2f}" + ("" if figure.sd is None else f" ± {figure.sd:.2f}")


def _spell_distance(distance: float | None) -> str:
    return "" if distance is None else f"{distance:+.1f}"


def _grid(table: Table, scale: str, outcomes: Sequence[Outcome]) -> Grid:
    grid = Grid(title=f"{table.title}, scale {scale}, %", title_justify="left")
    for name in ("row", "M", "score", "ours", "paper", "difference in sd"):
        grid.add_column(name, overflow="fold", no_wrap=name != "row")
    for outcome, score in _cells(table, outcomes):
        grid.add_row(
            outcome.row.name,
            "yes" if outcome.row.matches else "",
            _NAMES[score],
            _spell(outcome.ours(score)),
            _spell(outcome.paper(score)),
            _spell_distance(outcome.distance(score)),
        )
    return grid


def _csv(table: Table, outcomes: Sequence[Outcome]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_HEADER)
    for outcome, score in _cells(table, outcomes):
        ours, paper = outcome.ours(score), outcome.paper(score) or (None, None)
        seeds, distance = outcome.seeds, outcome.distance(score)
        matches = "yes" if outcome.row.matches else ""
        writer.writerow([outcome.row.name, matches, score, *ours, seeds, *paper, distance])
    return buffer.getvalue()


def _latex(table: Table, outcomes: Sequence[Outcome]) -> str:
    """The table in LaTeX, which needs the packages booktabs and amssymb."""

    def number(figure: Figure | None) -> str:
        return "--" if figure is None else f"${_spell(figure).replace('±', chr(92) + 'pm')}$"

    lines = [
        r"% needs \usepackage{booktabs,amssymb}",
        r"\begin{tabular}{ll" + "rrr" * len(table.scores) + "}",
        r"\toprule",
        " & ".join(
            [
                "row",
                "M",
                *(
                    f"{_tex(_NAMES[s])} {who}"
                    for s in table.scores
                    for who in ("ours", "paper", "diff.")
                ),
            ]
        )
        + r" \\",
        r"\midrule",
    ]
    for outcome in outcomes:
        cells = [_tex(outcome.row.name), r"\checkmark" if outcome.row.matches else ""]
        for score in table.scores:
            distance = _spell_distance(outcome.distance(score))
            cells += [number(outcome.ours(score)), number(outcome.paper(score))]
            cells.append(f"${distance}$" if distance else "")
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _tex(text: str) -> str:
    return text.replace("_", r"\_").replace("²", "$^2$").replace("%", r"\%")


def _spell_settings(options: Mapping[str, Any]) -> str:
    parts = {name: value for name, value in options.items() if name != "seeds"}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in parts.items())


def _page(
    table: Table, scale: str, protocol: str, outcomes: Sequence[Outcome], command: str
) -> str:
    beside = suite_figures.beside(
        {
            _NAMES[score]: [(o.row.name, o.ours(score), o.paper(score)) for o in outcomes]
            for score in table.scores
        }
    )
    curves = suite_figures.over_steps(
        [(o.row.name, o.records) for o in outcomes], {s: _NAMES[s] for s in table.scores}
    )
    rows = [
        {
            "name": outcome.row.name,
            "matches": outcome.row.matches,
            "score": _NAMES[score],
            "ours": _spell(outcome.ours(score)),
            "paper": _spell(outcome.paper(score)),
            "distance": _spell_distance(outcome.distance(score)),
            "seeds": outcome.seeds,
            "settings": _spell_settings(table.own(outcome.row, scale, protocol)),
        }
        for outcome, score in _cells(table, outcomes)
    ]
    return page_template("benchmark.suites", "report.html.j2").render(
        title=table.title,
        command=command,
        departures=DEPARTURES[protocol][table.name],
        scale=scale,
        needs=None if table.needs is None else table.needs.spell(),
        settings=_spell_settings(table.shared(scale)),
        rows=rows,
        notes=notes_on_runs((outcome.row.name, outcome.scores) for outcome in outcomes),
        pictures=[beside] if curves is None else [beside, curves],
    )
