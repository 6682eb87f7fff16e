"""The picture of a comparison: a dot for each run and score, with the spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from os.path import commonpath

from matplotlib.figure import Figure

from benchmark.comparison.comparison import Place
from benchmark.pages.panels import save

NAMES = {"mcc": "MCC", "r2": "R²"}
_STYLES = {"mcc": ("C0", "o", -0.14), "r2": ("C1", "s", 0.14)}
_ROW = 0.42


def dots(places: Sequence[Place]) -> bytes:
    """The picture of MCC and R^2 of every run, with the best run on top.

    Filled marks are means over seeds. Bars extend by one sample standard deviation to either
    side. Hollow marks show the untrained encoder.

    Arguments:
        places: ranked runs in order.

    Returns:
        The content of a PNG file.
    """
    figure = Figure(figsize=(7.5, 1.2 + _ROW * len(places)), layout="constrained")
    axis = figure.subplots()
    for score, (colour, mark, shift) in _STYLES.items():
        for height, place in enumerate(places):
            mean, before = place.run.mean(score), place.run.untrained(score)
            at = height + shift
            if mean is not None:
                spread = place.run.sd(score)
                axis.errorbar(mean, at, xerr=spread, fmt=mark, color=colour, capsize=2.5)
            if before is not None:
                axis.plot(before, at, mark, color=colour, fillstyle="none", markersize=4.5)
        axis.plot([], [], mark, color=colour, label=NAMES[score])
    axis.plot([], [], "o", color="0.4", fillstyle="none", label="untrained")
    axis.set_yticks(range(len(places)), _names(places))
    low, high = axis.get_xlim()
    axis.set(
        xlim=(min(0.0, low), max(1.0, high)), ylim=(len(places) - 0.5, -0.5), xlabel=_axis(places)
    )
    axis.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", alpha=0.25)
    return save(figure, "png")


def _axis(places: Sequence[Place]) -> str:
    spread = any(place.run.sd(score) is not None for place in places for score in _STYLES)
    ends = ", mean ± standard deviation over seeds" if spread else ""
    return f"score on the test split{ends}"


def _names(places: Sequence[Place]) -> list[str]:
    """The folders of the runs without the common part of their paths."""
    paths = [place.run.path for place in places]
    if len(paths) == 1:
        return [paths[0].name]
    shared = commonpath([path.parent.resolve() for path in paths])
    return [str(path.resolve().relative_to(shared)) for path in paths]
