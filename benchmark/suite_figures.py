"""Figures of a suite, each a function from data to a PNG's bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from benchmark.figures import png
from benchmark.tables import Figure

_STYLES = ("-", "--", ":")


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
    axis.set(xlim=(0, 102), ylim=(len(rows) - 0.4, -0.6), xlabel="%")
    axis.plot([], [], "o", color="C0", label="ours")
    axis.plot([], [], "s", color="0.55", label="paper")
    axis.legend(frameon=False, loc="lower left")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="x", alpha=0.25)
    return png(canvas)


def over_steps(
    rows: Sequence[tuple[str, list[dict[str, Any]]]], scores: Mapping[str, str]
) -> bytes | None:
    """Scores over the steps, means over the seeds, one line a row that was trained.

    Arguments:
        rows: name, and lines of ``metrics.jsonl``.
        scores: what the figure calls each score, by its name in these lines.

    Returns:
        One panel for each score; None where no row was trained.
    """
    trained = [(name, records) for name, records in rows if len(_steps(records)) > 1]
    if not trained:
        return None
    canvas = Canvas(figsize=(1.5 + 4.2 * len(scores), 3.8))
    panels = canvas.subplots(1, len(scores), squeeze=False, sharey=True)[0]
    for axis, (score, title) in zip(panels, scores.items(), strict=True):
        for number, (name, records) in enumerate(trained):
            steps = _steps(records)
            means = [100 * np.mean([r[score] for r in records if r["step"] == s]) for s in steps]
            axis.plot(steps, means, _STYLES[number // 10 % len(_STYLES)], label=name)
        axis.set(title=title, xlabel="step", ylim=(0, 102))
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    panels[0].set_ylabel("%")
    panels[-1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return png(canvas)


def _steps(records: list[dict[str, Any]]) -> list[int]:
    """The steps at which a run was scored."""
    return sorted({record["step"] for record in records})
