"""Figures of a report. Each function makes a picture from data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from benchmark.metrics.readouts.targets import Array
from benchmark.metrics.scores import Scores, linear_readout
from benchmark.pages.panels import Plot, legend_above, plotted
from benchmark.pages.picture import Picture

_SHOWN = 2000
_TERMS = {"alignment": "C2-", "uniformity": "C3--"}
_SCORES = {"r2": "C0o-", "mcc": "C1s--"}
_LABELS = {"r2": "R²", "mcc": "MCC"}
_DRAWN = {"loss", *_TERMS, *_SCORES}
_CELL = 0.245  # edge of a cell in inches, so that ten codes fit on a phone
_SMALL = 7.0  # font size of small text in points
_LEGIBLE_WHITE = 0.6  # cells are dark above this correlation, so their numbers are white

_Lines = dict[tuple[int, str], list[tuple[int, float]]]


def curves(records: Iterable[dict[str, Any]]) -> Picture:
    """The picture of loss, its two terms, and scores over the steps, with one line per seed.

    Arguments:
        records: lines of ``metrics.jsonl``.
    """
    lines: _Lines = {}
    for record in records:
        for name in _DRAWN & record.keys():
            lines.setdefault((record["seed"], name), []).append((record["step"], record[name]))
    plots = [
        Plot(partial(_draw_loss, lines), "Training loss over the steps"),
        Plot(partial(_draw_terms, lines), "The two terms of the loss over the steps"),
        Plot(partial(_draw_scores, lines), "R² and MCC on held-out rows over the steps"),
    ]
    found = {name for _, name in lines}
    if not found & _TERMS.keys():
        del plots[1]
    if "loss" not in found:
        del plots[0]
    return plotted(
        plots,
        "Curves",
        "Alignment is low if positives are near their anchors. Uniformity is low if anchors are "
        "far from the negatives. With many negatives, the loss is the sum of alignment, "
        "uniformity and the logarithm of the number of negatives.",
    )


def _draw_loss(lines: _Lines, axis: Axes) -> None:
    for (_, name), points in sorted(lines.items()):
        if name == "loss":
            steps, values = np.array(points).T
            axis.plot(steps, values, color="C0", alpha=0.25, linewidth=0.8, rasterized=True)
            axis.plot(steps, _smooth(values), color="C0")
    _finish(axis, "training loss")


def _draw_terms(lines: _Lines, axis: Axes) -> None:
    for (_, name), points in sorted(lines.items()):
        if name in _TERMS:
            steps, values = np.array(points).T
            axis.plot(steps, _smooth(values), _TERMS[name], label=name)
    _finish(axis, "its terms")


def _draw_scores(lines: _Lines, axis: Axes) -> None:
    for (_, name), points in sorted(lines.items()):
        if name in _SCORES:
            steps, values = np.array(points).T
            axis.plot(steps, values, _SCORES[name], markersize=3, label=_LABELS[name])
    axis.set_ylim(min(0.0, axis.get_ylim()[0]), 1.02)
    _finish(axis, "held-out rows")


def _finish(axis: Axes, title: str) -> None:
    axis.set_xlabel("step")
    axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axis.grid(alpha=0.25)
    legend_above(axis, title)


def _smooth(values: Array) -> Array:
    """Mean over a sliding window of a twentieth of the length."""
    width = max(1, len(values) // 20)
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return np.convolve(padded, np.ones(width) / width, mode="valid")


def correlation(scores: Scores, labels: Sequence[str]) -> Picture:
    """The picture of correlations, factors x codes.

    Codes are in the order of their assigned factors, followed by codes without a factor.
    """
    codes = scores.correlation.shape[1]
    spare = np.setdiff1d(np.arange(codes), scores.assignment)
    order = np.concatenate([scores.assignment[scores.assignment < codes], spare])
    plot = Plot(
        partial(_draw_matrix, scores.correlation[:, order], labels, order),
        "Matrix of Pearson correlations, factors by codes",
        width=0.15 + 0.06 * max(map(len, labels)) + _CELL * len(order),
        height=0.5 + _CELL * len(labels),
    )
    return plotted(
        [plot],
        "Correlation of factors and codes",
        "Pearson's correlation over all test rows. Codes are in the order of the factors that "
        "they are assigned to.",
    )


def _draw_matrix(matrix: Array, labels: Sequence[str], codes: Array, axis: Axes) -> None:
    axis.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    axis.set_yticks(range(len(labels)), labels)
    axis.set_xticks(range(len(codes)), map(str, codes))
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_xlabel("code")
    for (row, column), value in np.ndenumerate(matrix):
        ink = "white" if abs(value) > _LEGIBLE_WHITE else "black"
        axis.text(
            column, row, _short(float(value)), ha="center", va="center", fontsize=_SMALL, color=ink
        )


def _short(value: float) -> str:
    """A number with two decimals, without the zero before the point."""
    text = f"{round(value, 2) + 0.0:.2f}".replace("0.", ".", 1).replace("-", "\N{MINUS SIGN}")
    return {"1.00": "1", "\N{MINUS SIGN}1.00": "\N{MINUS SIGN}1"}.get(text, text)


def scatter(latents: Array, codes: Array, scores: Scores, labels: Sequence[str]) -> Picture:
    """The picture of true and linearly recovered values of every factor, on scored rows."""
    half = len(latents) // 2
    shown = slice(half, half + _SHOWN)
    recovered = linear_readout(latents[:half], codes[:half], codes[shown], scores.circular)
    plots = [
        Plot(
            partial(
                _draw_points,
                latents[shown, i],
                recovered[:, i],
                f"{label}  R² {scores.r2_per_factor[i]:.2f}",
            ),
            f"{label}: true value against its linear readout from the codes",
            width=1.72,
            height=1.72,
        )
        for i, label in enumerate(labels)
    ]
    return plotted(
        plots,
        "True against recovered",
        "Horizontal: true latent. Vertical: recovered value. Both agree on the line. The linear "
        "readout is fitted on the first half of the test split and shown on the second half.",
        columns=min(5, len(plots)),
    )


def _draw_points(true: Array, recovered: Array, title: str, axis: Axes) -> None:
    ends = [true.min(), true.max()]
    axis.plot(ends, ends, color="0.6", linewidth=0.8)
    axis.scatter(true, recovered, s=4, alpha=0.35, edgecolors="none", rasterized=True)
    axis.set_title(title, fontsize=_SMALL)
    margin = 0.25 * (ends[1] - ends[0])
    axis.set(ylim=(ends[0] - margin, ends[1] + margin))
    axis.tick_params(labelsize=_SMALL)
    for ticks in (axis.xaxis, axis.yaxis):
        ticks.set_major_locator(MaxNLocator(3))
