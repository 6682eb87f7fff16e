"""The figures of a report, each a function from data to a PNG's bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.metrics import Array, Scores, linear_readout
from threedident.dataset import ThreeDIdent
from threedident.factors import FACTORS, LABELS
from threedident.index import NearestLatents

TRAVERSAL_VALUES = (-0.9, -0.45, 0.0, 0.45, 0.9)
_DPI = 110


def png(figure: Figure) -> bytes:
    """The figure as the content of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, bbox_inches="tight")
    return buffer.getvalue()


def curves(records: Sequence[dict[str, Any]]) -> bytes:
    """Loss over steps, and scores on the test split over steps, one line a seed.

    Arguments:
        records: lines of ``metrics.jsonl``.
    """
    figure = Figure(figsize=(9.5, 3.2))
    left, right = figure.subplots(1, 2)
    for seed in sorted({record["seed"] for record in records}):
        own = [record for record in records if record["seed"] == seed]
        losses = np.array([(r["step"], r["loss"]) for r in own if "loss" in r]).reshape(-1, 2)
        scored = np.array([(r["step"], r["r2"], r["mcc"]) for r in own if "r2" in r])
        left.plot(*losses.T, color="C0", alpha=0.25, linewidth=0.8)
        left.plot(losses[:, 0], _smooth(losses[:, 1]), color="C0", label=f"seed {seed}")
        right.plot(scored[:, 0], scored[:, 1], "o-", color="C0", markersize=3, label="R²")
        right.plot(scored[:, 0], scored[:, 2], "s--", color="C1", markersize=3, label="MCC")
    left.set(title="training loss", xlabel="step", ylabel="loss")
    right.set(title="test split, eval mode", xlabel="step", ylabel="score", ylim=(0, 1))
    handles, labels = right.get_legend_handles_labels()
    right.legend(handles[:2], labels[:2], frameon=False)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
    return png(figure)


def _smooth(values: Array) -> Array:
    """Mean over a sliding window of a twentieth of the length."""
    width = max(1, len(values) // 20)
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return np.convolve(padded, np.ones(width) / width, mode="valid")


def correlation(scores: Scores) -> bytes:
    """Factors x codes, codes in the order of their assigned factors."""
    order = scores.assignment
    matrix = scores.correlation[:, order]
    figure = Figure(figsize=(5.6, 4.8))
    axis = figure.subplots()
    drawn = axis.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1)
    axis.set_yticks(range(len(LABELS)), LABELS)
    axis.set_xticks(range(len(order)), [f"code {code}" for code in order], rotation=60, ha="right")
    for (row, column), value in np.ndenumerate(matrix):
        ink = "white" if abs(value) > 0.6 else "black"
        axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6.5, color=ink)
    axis.set_title("Pearson correlation, codes as assigned", fontsize=10)
    figure.colorbar(drawn, shrink=0.85)
    return png(figure)


def scatter(latents: Array, codes: Array, scores: Scores) -> bytes:
    """True against linearly recovered value of every factor, on the rows R^2 is scored on."""
    half = len(latents) // 2
    recovered = linear_readout(latents[:half], codes[:half], codes[half:])
    figure = Figure(figsize=(9.5, 4.3))
    axes = figure.subplots(2, 5, sharex=True, sharey=True)
    for column, axis in enumerate(axes.flat):
        axis.plot([-1, 1], [-1, 1], color="0.6", linewidth=0.8)
        axis.scatter(
            latents[half:, column], recovered[:, column], s=4, alpha=0.35, edgecolors="none"
        )
        title = f"{LABELS[column]}  R² {scores.r2_per_factor[column]:.2f}"
        axis.set_title(title, fontsize=8)
        axis.set(xlim=(-1.1, 1.1), ylim=(-1.4, 1.4))
        axis.tick_params(labelsize=7)
    figure.supxlabel("true raw latent", fontsize=9)
    figure.supylabel("recovered", fontsize=9)
    figure.tight_layout()
    return png(figure)


def nearest_traversal(dataset: ThreeDIdent) -> bytes:
    """The data set's own images nearest to the axes of the latent space.

    One column a factor, one row a value of it, every other factor as near to 0 as there is an
    image. ``dataset`` has no transform.
    """
    count = len(FACTORS)
    targets = np.zeros((len(TRAVERSAL_VALUES), count, count))
    for column in range(count):
        targets[:, column, column] = TRAVERSAL_VALUES
    rows = NearestLatents(dataset.latents).search(targets.reshape(-1, count)).indices[:, 0]
    grid: NDArray[np.int64] = rows.reshape(len(TRAVERSAL_VALUES), count)
    figure = Figure(figsize=(9.5, 5.0))
    axes = figure.subplots(*grid.shape)
    for (row, column), image_row in np.ndenumerate(grid):
        axis = axes[row, column]
        axis.imshow(dataset[int(image_row)][0].permute(1, 2, 0).numpy())
        axis.set(xticks=[], yticks=[])
        if row == 0:
            axis.set_title(LABELS[column], fontsize=5.5)
        if column == 0:
            axis.set_ylabel(f"{TRAVERSAL_VALUES[row]:+.2f}", fontsize=7)
    figure.subplots_adjust(wspace=0.04, hspace=0.04)
    return png(figure)
