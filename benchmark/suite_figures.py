"""Figures of a suite, each a function from data to a PNG's bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from benchmark.figures import png
from benchmark.tables import Figure


def beside(rows: Sequence[tuple[str, Figure, Figure | None]]) -> bytes:
    """Ours and the paper's figure of every row, in percent, with standard deviations.

    Arguments:
        rows: name, ours, and the paper's where there is one.
    """
    canvas = Canvas(figsize=(8.5, 0.9 + 0.34 * len(rows)))
    axis = canvas.subplots()
    for height, (_, ours, paper) in enumerate(rows):
        for figure, shift, style in ((paper, 0.14, "s"), (ours, -0.14, "o")):
            if figure is None:
                continue
            colour = "C0" if style == "o" else "0.55"
            axis.errorbar(
                figure.mean, height + shift, xerr=figure.sd, fmt=style, color=colour, markersize=5
            )
    axis.set_yticks(range(len(rows)), [name for name, _, _ in rows])
    axis.invert_yaxis()
    axis.set(xlim=(0, 102), xlabel="%")
    axis.plot([], [], "o", color="C0", label="ours")
    axis.plot([], [], "s", color="0.55", label="paper")
    axis.legend(frameon=False, loc="lower left")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="x", alpha=0.25)
    return png(canvas)


def over_steps(rows: Sequence[tuple[str, list[dict[str, Any]]]], score: str) -> bytes:
    """A score over the steps, mean over the seeds, one line a row that was trained.

    Arguments:
        rows: name, and lines of ``metrics.jsonl``.
        score: name of the score.
    """
    canvas = Canvas(figsize=(8.5, 4.2))
    axis = canvas.subplots()
    styles = ("-", "--", ":")
    drawn = 0
    for name, records in rows:
        values: dict[int, list[float]] = {}
        for record in records:
            if score in record:
                values.setdefault(record["step"], []).append(100 * record[score])
        if len(values) < 2:
            continue
        steps = sorted(values)
        means = [np.mean(values[step]) for step in steps]
        axis.plot(steps, means, styles[drawn // 10 % 3], label=name)
        drawn += 1
    axis.set(xlabel="step", ylabel="%", ylim=(0, 102))
    if drawn:
        axis.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)
    return png(canvas)
