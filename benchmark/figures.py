"""The figures of a report, each a function from data to a PNG's bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.metrics import Array, Scores, linear_readout

_DPI = 110
_SHOWN = 2000
_TERMS = {"alignment": "C2-", "uniformity": "C3--"}
_SCORES = {"r2": "C0o-", "mcc": "C1s--"}
_LABELS = {"r2": "R²", "mcc": "MCC"}
_DRAWN = {"loss", *_TERMS, *_SCORES}


def png(figure: Figure) -> bytes:
    """The figure as the content of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight")
    return buffer.getvalue()


def curves(records: Iterable[dict[str, Any]]) -> bytes:
    """Loss, its two terms, and scores of held-out rows over the steps, one line a seed.

    Arguments:
        records: lines of ``metrics.jsonl``.
    """
    lines: dict[tuple[int, str], list[tuple[int, float]]] = {}
    for record in records:
        for name in _DRAWN & record.keys():
            lines.setdefault((record["seed"], name), []).append((record["step"], record[name]))
    figure = Figure(figsize=(12.0, 3.2))
    left, middle, right = axes = figure.subplots(1, 3)
    for (_, name), points in sorted(lines.items()):
        steps, values = np.array(points).T
        if name == "loss":
            left.plot(steps, values, color="C0", alpha=0.25, linewidth=0.8)
            left.plot(steps, _smooth(values), color="C0")
        elif name in _TERMS:
            middle.plot(steps, _smooth(values), _TERMS[name], label=name)
        else:
            right.plot(steps, values, _SCORES[name], markersize=3, label=_LABELS[name])
    left.set(title="training loss", xlabel="step", ylabel="loss")
    middle.set(title="its terms", xlabel="step")
    right.set(title="held-out rows", xlabel="step", ylabel="score")
    right.set_ylim(min(0.0, right.get_ylim()[0]), 1.02)
    for axis in (middle, right):
        _legend_once(axis)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    middle.set_visible(bool(middle.lines))
    figure.subplots_adjust(wspace=0.28)
    return png(figure)


def _legend_once(axis: Axes) -> None:
    """A legend with one entry for each name, however many seeds have it."""
    entries = dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    if entries:
        axis.legend(entries.values(), entries.keys(), frameon=False)


def _smooth(values: Array) -> Array:
    """Mean over a sliding window of a twentieth of the length."""
    width = max(1, len(values) // 20)
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return np.convolve(padded, np.ones(width) / width, mode="valid")


def correlation(scores: Scores, labels: Sequence[str]) -> bytes:
    """Factors x codes, codes in the order of their assigned factors, spare ones after them."""
    spare = np.setdiff1d(np.arange(scores.correlation.shape[1]), scores.assignment)
    order = np.concatenate([scores.assignment, spare])
    matrix = scores.correlation[:, order]
    figure = Figure(figsize=(1.6 + 0.4 * len(order), 0.8 + 0.4 * max(3, len(labels))))
    axis = figure.subplots()
    drawn = axis.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
    axis.set_yticks(range(len(labels)), labels)
    axis.set_xticks(range(len(order)), [f"code {code}" for code in order], rotation=60, ha="right")
    for (row, column), value in np.ndenumerate(matrix):
        ink = "white" if abs(value) > 0.6 else "black"
        axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6.5, color=ink)
    axis.set_title("Pearson correlation, codes as assigned", fontsize=10)
    figure.colorbar(drawn, shrink=0.85)
    return png(figure)


def scatter(latents: Array, codes: Array, scores: Scores, labels: Sequence[str]) -> bytes:
    """True against linearly recovered value of every factor, on the rows R^2 is scored on."""
    half = len(latents) // 2
    recovered = linear_readout(latents[:half], codes[:half], codes[half:])
    shown = slice(half, half + _SHOWN)
    columns = min(5, len(labels))
    rows = -(-len(labels) // columns)
    figure = Figure(figsize=(1.9 * columns, 2.15 * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(labels) :]:
        axis.set_visible(False)
    for column, (label, axis) in enumerate(zip(labels, axes, strict=False)):
        true = latents[shown, column]
        ends = [true.min(), true.max()]
        axis.plot(ends, ends, color="0.6", linewidth=0.8)
        axis.scatter(true, recovered[:_SHOWN, column], s=4, alpha=0.35, edgecolors="none")
        axis.set_title(f"{label}  R² {scores.r2_per_factor[column]:.2f}", fontsize=8)
        margin = 0.25 * (ends[1] - ends[0])
        axis.set(ylim=(ends[0] - margin, ends[1] + margin))
        axis.tick_params(labelsize=7)
    figure.supxlabel("true latent", fontsize=9)
    figure.supylabel("recovered", fontsize=9)
    figure.tight_layout()
    return png(figure)
