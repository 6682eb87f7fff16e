"""The table of a comparison, in the terminal and as CSV."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping, Sequence

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmark.comparison.comparison import DASH, Place, differing_settings, scored_on
from benchmark.comparison.figure import NAMES

_WIDEST = 10_000


def show(places: Sequence[Place], by: str) -> None:
    """Print the table. If it is wider than the terminal, names and settings follow below it.

    Arguments:
        places: ranked runs in order.
        by: name of the score that ranks them.
    """
    split = scored_on(places[0].run.config)
    known = (place.run.scores.get("rows") for place in places)
    rows = next((count for count in known if count is not None), DASH)
    click.echo(f"scored on {split.name}, {rows} rows, protocol {split.protocol}\n")
    settings = differing_settings([place.run for place in places])
    names = {"run": [str(place.run.path) for place in places], **settings}
    grid = _grid(places, by, names)
    console = Console(markup=False, highlight=False, emoji=False)
    free = console.options.update(max_width=_WIDEST)
    width = console.measure(grid, options=free).maximum
    if not sys.stdout.isatty():  # a file or a pipe has no width
        console.width = max(console.width, width)
    if width <= console.width:
        console.print(grid)
    else:
        console.print(_grid(places, by, {}))
        click.echo()
        for number, place in enumerate(places):
            told = ", ".join(f"{name} {values[number]}" for name, values in settings.items())
            click.echo(f"{_spell(place.rank)} {place.run.path}{told and f': {told}'}")
    if any(place.level_with_best for place in places):
        click.echo("~: the interval includes 0, so this run may be as good as the best.")


def _grid(places: Sequence[Place], by: str, texts: Mapping[str, Sequence[str]]) -> Table:
    compared = any(place.interval for place in places)
    grid = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("", justify="right")
    for name in texts:
        grid.add_column(name)
    for name in ("steps", "seeds"):
        grid.add_column(name, justify="right")
    last = [f"{NAMES[by]} minus best, 95 %"] if compared else []
    for name in ("MCC", "R²", "MCC before", "R² before", *last):
        grid.add_column(name, overflow="fold")
    for number, place in enumerate(places):
        run = place.run
        grid.add_row(
            _spell(place.rank),
            *(values[number] for values in texts.values()),
            str(run.config.steps),
            str(len(run.config.seeds)),
            *(_spread(place, score) for score in NAMES),
            *(_spell(run.untrained(score)) for score in NAMES),
            *([_interval(place)] if compared else []),
        )
    return grid


def _spell(value: float | None) -> str:
    if value is None:
        return DASH
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _spread(place: Place, score: str) -> str:
    mean, sd = place.run.mean(score), place.run.sd(score)
    return _spell(mean) + (f" ± {sd:.3f}" if mean is not None and sd is not None else "")


def _interval(place: Place) -> str:
    if place.interval is None:
        return DASH
    low, high = place.interval
    return f"{low:+.3f} to {high:+.3f}" + (" ~" if place.level_with_best else "")


def as_csv(places: Sequence[Place]) -> str:
    """The table as CSV, with all digits. Unknown values are empty."""
    settings = differing_settings([place.run for place in places])
    scores = [f"{score}{end}" for score in NAMES for end in ("", "_sd")]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        [
            *("rank", "run", *settings, "steps", "seeds", *scores),
            *(f"untrained_{score}" for score in NAMES),
            *("minus_best_low", "minus_best_high"),
        ]
    )
    for number, place in enumerate(places):
        run = place.run
        cells = [values[number] for values in settings.values()]
        writer.writerow(
            [
                *(place.rank, run.path),
                *("" if cell == DASH else cell for cell in cells),
                *(run.config.steps, len(run.config.seeds)),
                *(each(score) for score in NAMES for each in (run.mean, run.sd)),
                *(run.untrained(score) for score in NAMES),
                *(place.interval or (None, None)),
            ]
        )
    return buffer.getvalue()
