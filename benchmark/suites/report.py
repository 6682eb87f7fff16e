"""Our results next to the paper's: as a table in the terminal, as CSV, as LaTeX and as a page.

The difference is given in standard deviations, (ours - paper) / sqrt(sd_ours^2 + sd_paper^2), if
both are known.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from benchmark.metrics.remarks import notes_on_runs
from benchmark.pages.picture import Picture
from benchmark.pages.template import page_template
from benchmark.suites import figures as suite_figures
from benchmark.suites.departures import DEPARTURES
from benchmark.suites.outcome import Outcome
from benchmark.suites.table import Figure, Table
from threedident.runtime.files import write_bytes

_NAMES = {
    "r2": "R²",
    "mcc": "MCC",
    "mcc_spearman": "MCC (Spearman)",
    "nonlinear_r2": "nonlinear R²",
    "null_level": "null level of MCC",
    "weak_mcc": "weak MCC",
    "ica_mcc": "MCC after ICA",
}
_USUAL = ("r2", "mcc")
_OVER_STEPS = ("r2", "mcc", "mcc_spearman")
_UNKNOWN = "-"
_HEADER = ("row", "M", "score", "ours", "sd", "seeds", "paper", "paper sd", "difference in sd")


def _name(score: str) -> str:
    """The title of a score."""
    return _NAMES.get(score) or f"R² of {score.removeprefix('r2:')}"


def say_outcome(outcome: Outcome) -> str:
    """One line of text with the scores of a finished row."""
    parts = []
    for score in outcome.row.paper or _USUAL:
        paper = outcome.paper(score)
        beside = "" if paper is None else f" (paper {_spell(paper)})"
        parts.append(f"{_name(score)} {_spell_ours(outcome, score)}{beside}")
    return f"{outcome.row.name}: {', '.join(parts)}"


def write_suite(
    table: Table,
    scale: str,
    protocol: str,
    outcomes: Sequence[Outcome],
    root: Path,
    command: str,
) -> Path:
    """Print the table, and write ``table.csv``, ``table.tex``, ``figures/`` and ``report.html``.

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
    pictures, figures = _pictures(table, outcomes), root / "figures"
    figures.mkdir(exist_ok=True)
    for name, picture in pictures.items():
        for suffix, content in picture.files.items():
            write_bytes(figures / f"{name}{suffix}", content)
    page, shown = root / "report.html", list(pictures.values())
    write_bytes(page, _page(table, scale, protocol, outcomes, command, shown).encode())
    return page


def _needs(table: Table) -> dict[str, str]:
    """The requirements on data sets, by the folder below that of the data; empty for none."""
    found = {row.folder or "": row.needs or table.needs for row in table.rows}
    return {folder: needs.spell() for folder, needs in found.items() if needs is not None}


def _cells(table: Table, outcomes: Sequence[Outcome]) -> Iterator[tuple[Outcome, str]]:
    for outcome in outcomes:
        for score in _scores(table, outcome):
            yield outcome, score


def _scores(table: Table, outcome: Outcome) -> list[str]:
    """The scores of a row, without those of groups that neither the run nor the paper has."""
    return [
        score
        for score in table.scores
        if score in _NAMES or outcome.ours(score) or outcome.paper(score)
    ]


def _reported(table: Table, outcomes: Sequence[Outcome]) -> bool:
    """True if the paper has a figure for some row."""
    return any(outcome.paper(score) is not None for outcome, score in _cells(table, outcomes))


def _spell(figure: Figure | None) -> str:
    if figure is None:
        return _UNKNOWN
    return f"{figure.mean:.2f}" + ("" if figure.sd is None else f" ± {figure.sd:.2f}")


def _spell_ours(outcome: Outcome, score: str) -> str:
    ours = outcome.ours(score)
    return "withheld" if ours is None and score == "ica_mcc" else _spell(ours)


def _spell_distance(distance: float | None) -> str:
    return "" if distance is None else f"{distance:+.1f}"


def _grid(table: Table, scale: str, outcomes: Sequence[Outcome]) -> Grid:
    grid = Grid(title=f"{table.title}, scale {scale}, %", title_justify="left")
    reported = _reported(table, outcomes)
    papers = ("paper", "difference in sd") if reported else ()
    for name in ("row", "M", "score", "ours", *papers):
        grid.add_column(name, overflow="fold", no_wrap=name != "row")
    for outcome, score in _cells(table, outcomes):
        paper = [_spell(outcome.paper(score)), _spell_distance(outcome.distance(score))]
        grid.add_row(
            outcome.row.name,
            "yes" if outcome.row.matches else "",
            _name(score),
            _spell_ours(outcome, score),
            *(paper if reported else ()),
        )
    return grid


def _csv(table: Table, outcomes: Sequence[Outcome]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_HEADER)
    for outcome, score in _cells(table, outcomes):
        ours = outcome.ours(score) or (None, None)
        paper = outcome.paper(score) or (None, None)
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
                    f"{_tex(_name(s))} {who}"
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
    parts = {
        name: value for name, value in options.items() if name != "seeds" and value is not None
    }
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in parts.items())


def _common(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The settings that all rows share."""
    first, *others = settings
    missing = object()
    return {
        name: value
        for name, value in first.items()
        if all(other.get(name, missing) == value for other in others)
    }


def _without(common: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in common}


def _pictures(table: Table, outcomes: Sequence[Outcome]) -> dict[str, Picture]:
    """The pictures of a suite by the names of their files."""
    beside = suite_figures.beside(
        {
            _name(score): [(o.row.name, o.ours(score), o.paper(score)) for o in outcomes]
            for score in table.scores
        }
    )
    curves = suite_figures.over_steps(
        [(o.row.name, o.records) for o in outcomes],
        {s: _name(s) for s in table.scores if s in _OVER_STEPS} or {"r2": _NAMES["r2"]},
    )
    return {"scores": beside} if curves is None else {"scores": beside, "over_steps": curves}


def _page(
    table: Table,
    scale: str,
    protocol: str,
    outcomes: Sequence[Outcome],
    command: str,
    pictures: Sequence[Picture],
) -> str:
    common = _common([table.own(row, scale, protocol) for row in table.rows])
    rows = [
        {
            "name": outcome.row.name,
            "matches": outcome.row.matches,
            "seeds": outcome.seeds,
            "settings": _spell_settings(_without(common, table.own(outcome.row, scale, protocol))),
            "scores": [
                {
                    "name": _name(score),
                    "ours": _spell_ours(outcome, score),
                    "paper": _spell(outcome.paper(score)),
                    "distance": _spell_distance(outcome.distance(score)),
                }
                for score in _scores(table, outcome)
            ],
        }
        for outcome in outcomes
    ]
    return page_template("benchmark.suites", "report.html.j2").render(
        title=table.title,
        command=command,
        departures=DEPARTURES[protocol].get(table.name, ()),
        scale=scale,
        needs=_needs(table),
        settings=_spell_settings({**table.shared(scale), **common}),
        reported=_reported(table, outcomes),
        compared=any(o.distance(score) is not None for o, score in _cells(table, outcomes)),
        rows=rows,
        notes=notes_on_runs((outcome.row.name, outcome.scores) for outcome in outcomes),
        pictures=pictures,
    )
