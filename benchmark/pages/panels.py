"""Plots as pictures of a page: each is a panel, and all of them are one file for papers."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.pages.picture import Panel, Picture

_CSS_DPI = 96
_DPI = 220  # of PNG files and of rasterised points in SVG files
_STYLE: dict[Any, Any] = {
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "threedident",  # makes files of the same figure identical
}


@dataclass(frozen=True)
class Plot:
    """A plot to draw.

    Arguments:
        draw: function that draws the plot onto axes.
        text: alternative text for readers who cannot see the plot.
        width: width in inches.
        height: height in inches.
    """

    draw: Callable[[Axes], None]
    text: str
    width: float = 3.3
    height: float = 2.5


def plotted(
    plots: Sequence[Plot], title: str, caption: str, columns: int | None = None
) -> Picture:
    """A picture of plots.

    Arguments:
        plots: one plot for each panel.
        title: title of the section.
        caption: text below the panels.
        columns: number of columns in the file for papers; None to put all plots in one row.
    """
    whole = sheet(plots, columns or len(plots))
    files = {".png": save(whole, "png"), ".svg": save(whole, "svg")}
    return Picture(title, caption, tuple(map(_panel, plots)), files)


def sheet(plots: Sequence[Plot], columns: int = 1) -> Figure:
    """One figure with all plots, filled row by row."""
    rows = -(-len(plots) // columns)
    size = (columns * max(p.width for p in plots), rows * max(p.height for p in plots))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis in axes[len(plots) :]:
            axis.remove()
        for plot, axis in zip(plots, axes, strict=False):
            plot.draw(axis)
    return figure


def save(figure: Figure, kind: str) -> bytes:
    """The content of a ``png`` or ``svg`` file of a figure."""
    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {}
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format=kind, dpi=_DPI, metadata=metadata)
    return buffer.getvalue()


def legend_above(axis: Axes, title: str, columns: int = 2) -> None:
    """Add a title, and a legend with one entry per name to the right of it, above the axes."""
    axis.set_title(title, loc="left")
    entries = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    if entries:
        axis.legend(
            entries.values(),
            entries.keys(),
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            borderaxespad=0.2,
            ncols=columns,
            columnspacing=1.0,
            handlelength=1.5,
            frameon=False,
        )


def _panel(plot: Plot) -> Panel:
    figure = sheet([plot])
    width, height = (round(_CSS_DPI * side) for side in (plot.width, plot.height))
    return Panel(save(figure, "svg"), "svg+xml", width, height, plot.text)
