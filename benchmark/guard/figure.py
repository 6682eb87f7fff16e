"""The picture of a guard: a heat map of metrics by synthetic encoders."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from benchmark.pages.panels import save

_CELL = (0.66, 0.32)
_LEGIBLE_WHITE = 0.55
_WITHHELD = "0.92"


def heat_map(verdicts: Mapping[str, Mapping[str, float | None]], title: str, kind: str) -> bytes:
    """The content of a picture with one row for each encoder and one column for each metric.

    Arguments:
        verdicts: scores of each encoder; None for a withheld score.
        title: title of the picture.
        kind: ``png`` or ``svg``.
    """
    encoders, metrics = list(verdicts), list(next(iter(verdicts.values())))
    values = np.array(
        [[np.nan if v is None else v for v in scores.values()] for scores in verdicts.values()],
        dtype=np.float64,
    )
    size = 1.7 + _CELL[0] * len(metrics), 1.9 + _CELL[1] * len(encoders)
    figure = Figure(figsize=size, layout="constrained")
    axis = figure.subplots()
    axis.set_facecolor(_WITHHELD)
    axis.imshow(np.clip(values, 0, 1), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        text = "withheld" if np.isnan(value) else f"{value:.2f}".replace("-0.00", "0.00")
        axis.text(
            column,
            row,
            text,
            ha="center",
            va="center",
            fontsize=7 if np.isnan(value) else 9,
            color="0.35" if np.isnan(value) else "white" if value > _LEGIBLE_WHITE else "black",
        )
    axis.set_xticks(range(len(metrics)), metrics, rotation=40, ha="left", rotation_mode="anchor")
    axis.set_yticks(range(len(encoders)), encoders)
    axis.xaxis.tick_top()
    axis.set_xticks(np.arange(len(metrics) - 1) + 0.5, minor=True)
    axis.set_yticks(np.arange(len(encoders) - 1) + 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=1.5)
    axis.tick_params(which="both", length=0)
    axis.spines[:].set_visible(False)
    axis.set_title(title, loc="left", fontsize=10)
    return save(figure, kind)
