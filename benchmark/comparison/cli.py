"""The command ``threedident compare``."""

from __future__ import annotations

from pathlib import Path

import click

from benchmark.comparison.comparison import on_one_split, ranked
from benchmark.comparison.figure import NAMES, dots
from benchmark.comparison.table import as_csv, show
from benchmark.metrics.remarks import notes_on_runs
from benchmark.runs.finished import find_runs
from threedident.options import Choice, NewFile
from threedident.runtime.errors import printable
from threedident.runtime.files import write_bytes

_LONGEST = 1000  # largest number of characters of a note


@click.command(context_settings={"show_default": True})
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option("--by", type=Choice(list(NAMES)), default="mcc", help="Rank by this score.")
@click.option("--on", "split", metavar="NAME", help="Compare only the runs of this test split.")
@click.option("--csv", "table", type=NewFile(), help="Also write the table to this file.")
@click.option("--picture", type=NewFile(), help="Draw the scores into this PNG file.")
def compare(
    runs: tuple[Path, ...], by: str, split: str | None, table: Path | None, picture: Path | None
) -> None:
    """Rank finished runs by a score, best first, and show the settings that differ.

    RUN is the folder of a run or of a suite, or a folder that contains several of them.

    \b
    Example:
        threedident compare runs/*
        threedident compare runs/a runs/b --by r2 --csv runs.csv --picture runs.png
    """
    if picture is not None and picture.suffix != ".png":
        raise ValueError(
            f"--picture: expected a name that ends in .png, found {picture}; change it"
        )
    found, remarks = find_runs(runs)
    for remark in remarks:
        click.echo(printable(f"note: {remark}", _LONGEST), err=True)
    if not found:
        raise ValueError(
            "runs: expected a finished run, found none; let threedident benchmark end"
        )
    chosen = on_one_split(found, split)
    places = ranked(chosen, by)
    show(places, by)
    for note in notes_on_runs((str(place.run.path), place.run.scores) for place in places):
        click.echo(printable(f"note: {note}", _LONGEST), err=True)
    if table is not None:
        write_bytes(table, as_csv(places).encode())
    if picture is not None:
        write_bytes(picture, dots(places))
