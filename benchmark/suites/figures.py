"""Figures of a suite. Each function makes a picture from data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from benchmark.pages.panels import Plot, legend_above, plotted
from benchmark.pages.picture import Picture
from benchmark.suites.table import Figure

_STYLES = ("-", "--", ":")
_COLOURS = 10  # in matplotlib's colour cycle
_LINE = 0.17  # height of a line of a legend, in inches
_LETTERS = 22  # of a row's name in one line

_Beside = Sequence[tuple[str, Figure | None, Figure | None]]
_Records = Sequence[tuple[str, list[dict[str, Any]]]]


def beside(scores: Mapping[str, _Beside]) -> Picture:
    """The picture of our results of every row, and the paper's, with standard deviations.

    Arguments:
        scores: for each score by name, a list with the name of every row, our result and the
            paper's, in percent, or None.
    """
    reported = any(paper for rows in scores.values() for _, _, paper in rows)
    what = ", ours next to the paper's" if reported else ""
    plots = [
        Plot(
            partial(_draw_beside, title, rows),
            f"{title} of every row{what}, as in the table above",
            width=3.6,
            height=0.8 + 0.26 * len(rows),
        )
        for title, rows in scores.items()
    ]
    heading = "Ours and the paper's" if reported else "Scores"
    return plotted(plots, heading, "Mean and standard deviation over seeds, in %.")


def _draw_beside(title: str, rows: _Beside, axis: Axes) -> None:
    for height, (_, ours, paper) in enumerate(rows):
        for figure, shift, style in ((paper, 0.14, "s"), (ours, -0.14, "o")):
            if figure is None:
                continue
            axis.errorbar(
                figure.mean,
                height + shift,
                xerr=figure.sd,
                fmt=style,
                color="C0" if style == "o" else "0.55",
                markersize=4,
            )
    axis.set_yticks(range(len(rows)), [fill(name, _LETTERS) for name, _, _ in rows])
    axis.set(xlim=(0, 102), ylim=(len(rows) - 0.4, -0.6), xlabel="%")
    axis.plot([], [], "o", color="C0", label="ours")
    if any(paper for _, _, paper in rows):
        axis.plot([], [], "s", color="0.55", label="paper")
    axis.grid(axis="x", alpha=0.25)
    legend_above(axis, title)


def over_steps(rows: _Records, scores: Mapping[str, str]) -> Picture | None:
    """The picture of scores over the steps, as means over the seeds, one line per trained row.

    Arguments:
        rows: name of each row, and lines of its ``metrics.jsonl``.
        scores: title of each score, by its name in these lines.

    Returns:
        A picture with one panel for each score and one for the names; None if no row was trained.
    """
    trained = [(name, records) for name, records in rows if len(_steps(records)) > 1]
    if not trained:
        return None
    plots = [
        Plot(partial(_draw_steps, score, title, trained), f"{title} of every row over the steps")
        for score, title in scores.items()
    ]
    names = [name for name, _ in trained]
    height = max(plots[0].height, _LINE * (len(names) + 1))
    text = f"Names of the lines: {', '.join(names)}"
    plots.append(Plot(partial(_draw_names, names), text, height=height))
    return plotted(plots, "Over the steps", "Scores of the test split in %, mean over seeds.")


def _draw_steps(score: str, title: str, rows: _Records, axis: Axes) -> None:
    for number, (name, records) in enumerate(rows):
        steps = _steps(records)
        means = [100 * np.mean([r[score] for r in records if r["step"] == s]) for s in steps]
        axis.plot(steps, means, **_line(number), label=name)
    axis.set(xlabel="step", ylabel="%", ylim=(0, 102))
    axis.set_title(title, loc="left")
    axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axis.grid(alpha=0.25)


def _draw_names(names: Sequence[str], axis: Axes) -> None:
    for number, name in enumerate(names):
        axis.plot([], [], **_line(number), label=name)
    axis.set_axis_off()
    axis.legend(frameon=False, loc="upper left", borderaxespad=0.0)


def _line(number: int) -> dict[str, Any]:
    """Colour and style of the line of a row."""
    style = _STYLES[number // _COLOURS % len(_STYLES)]
    return {"color": f"C{number % _COLOURS}", "linestyle": style}


def _steps(records: list[dict[str, Any]]) -> list[int]:
    """The steps at which a run was scored."""
    return sorted({record["step"] for record in records})
