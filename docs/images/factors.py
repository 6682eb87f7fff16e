"""The pictures of the page of results: all ten factors from images, drawn from the kept scores.

``python docs/images/factors.py`` draws ``factors.png`` and ``correlations.png`` beside it from
``docs/scores/table4``, ``more.png`` also from ``docs/scores/more``, and ``groups.png`` from
``docs/scores/groups``.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.losses.catalogue import is_paired
from benchmark.suites.outcome import Outcome, read_outcome
from benchmark.suites.suite import TABLES
from benchmark.training.folder import RunFolder

HERE = Path(__file__).parent
SCORES = HERE.parent / "scores"
KEPT = SCORES / "table4"
SHOWN = {
    "supervised": ("supervised", "0.35"),
    "normal-box-l2": ("box, l2, Normal", "C0"),
    "laplace-box-l2": ("box, l2, Laplace", "C2"),
    "normal-unbounded-l2": ("unbounded, l2", "C1"),
    "normal-sphere-dot": ("sphere, dot", "C3"),
    "augmented-sphere-dot": ("augmented, sphere, dot", "C4"),
}
SHORT = ("x", "y", "z", "alpha", "beta", "gamma", "theta", "object", "spotlight", "background")


def read(name: str) -> Outcome | None:
    """The kept scores of a row."""
    [row] = [row for row in TABLES["table4"].rows if row.name == name]
    return read_outcome(row, RunFolder(KEPT / name))


def curve(
    folder: Path, value: Callable[[dict[str, Any]], float]
) -> tuple[list[float], list[float]]:
    """Millions of images that a run has seen, and the mean of a value over the seeds there."""
    run = RunFolder(folder)
    config, records = run.read_config(), run.scored()
    each = (2 if is_paired(config.loss) else 1) * config.batch_size / 1e6
    steps = sorted({record["step"] for record in records})
    means = [float(np.mean([value(r) for r in records if r["step"] == step])) for step in steps]
    return [each * step for step in steps], means


def draw_curves(axis: Axes, score: str, title: str, outcomes: list[Outcome]) -> None:
    """R^2 or MCC over the number of images seen, with the paper's figure at the right."""
    curves = {
        outcome.row.name: curve(KEPT / outcome.row.name, itemgetter(score)) for outcome in outcomes
    }
    right = 1.06 * max(images[-1] for images, _ in curves.values())
    for outcome in outcomes:
        label, colour = SHOWN[outcome.row.name]
        axis.plot(*curves[outcome.row.name], color=colour, label=label)
        paper = outcome.paper(score)
        if paper is not None:
            axis.plot(right, paper.mean / 100, marker="<", color=colour, clip_on=False)
    axis.set(xlabel="images seen, in millions", ylim=(0, 1.01), title=title)
    axis.grid(alpha=0.25)


def draw_factors(axis: Axes, outcomes: list[Outcome]) -> None:
    """R^2 of every factor after training, one mark a seed."""
    for place, outcome in enumerate(outcomes):
        colour = SHOWN[outcome.row.name][1]
        shift = 0.13 * (place - (len(outcomes) - 1) / 2)
        for record in outcome.scores["seeds"]:
            values = record["trained"]["r2_per_factor"]
            axis.plot(np.arange(len(values)) + shift, values, "_", color=colour, ms=7, mew=2)
    axis.set_xticks(range(len(SHORT)), SHORT, fontsize=8, rotation=30)
    axis.set(ylim=(-0.03, 1.01), title="R² of every factor")
    axis.grid(axis="y", alpha=0.25)


def draw(path: Path) -> None:
    """Draw the picture."""
    found = [outcome for name in SHOWN if (outcome := read(name)) is not None]
    figure = Figure(figsize=(12, 3.9), layout="constrained")
    first, second, third = figure.subplots(1, 3, width_ratios=(1, 1, 1.5))
    draw_curves(first, "r2", "R²", found)
    draw_curves(second, "mcc", "MCC", found)
    draw_factors(third, found)
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(path, dpi=110)


def draw_correlations(path: Path) -> None:
    """Draw the correlations of factors and codes of four rows, of the first seed."""
    names = ("supervised", "normal-box-l2", "normal-unbounded-l2", "normal-sphere-dot")
    found = [outcome for name in names if (outcome := read(name)) is not None]
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    axes = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for axis, outcome in zip(axes, found, strict=True):
        trained = outcome.scores["seeds"][0]["trained"]
        correlation = np.abs(trained["correlation"])[:, trained["assignment"]]
        image = axis.imshow(correlation, cmap="Blues", vmin=0, vmax=1)
        axis.set_title(SHOWN[outcome.row.name][0])
        axis.set_xticks(range(len(SHORT)), [])
        axis.set_xlabel("codes")
    axes[0].set_yticks(range(len(SHORT)), SHORT)
    figure.colorbar(image, ax=list(axes), label="|correlation|", fraction=0.02)
    figure.savefig(path, dpi=110)


def draw_more(path: Path) -> None:
    """Draw what more images and more steps give: R^2 of all factors, and of each rotation."""
    runs = {
        "box": (KEPT / "normal-box-l2", SCORES / "more" / "box", "C0"),
        "supervised": (KEPT / "supervised", SCORES / "more" / "supervised", "0.35"),
    }
    figure = Figure(figsize=(12, 3.7), layout="constrained")
    axes = figure.subplots(1, 4, sharey=True, width_ratios=(1.3, 1, 1, 1))
    shown = {"R² of all factors": list(range(len(SHORT)))}
    shown |= {f"R² of {SHORT[place]}": [place] for place in (3, 4, 5)}
    for axis, (title, places) in zip(axes, shown.items(), strict=True):

        def value(record: dict[str, Any], places: list[int] = places) -> float:
            return float(np.take(record["r2_per_factor"], places).mean())

        for name, (few, more, colour) in runs.items():
            for folder, style in ((few, ":"), (more, "-")):
                if (folder / "scores.json").is_file():
                    config = RunFolder(folder).read_config()
                    images = "60,000" if folder == more else "40,000"
                    label = f"{name}: {images} images, {config.steps:,} steps"
                    axis.plot(*curve(folder, value), style, color=colour, label=label)
        axis.set(xlabel="images seen, in millions", ylim=(0, 1.01), title=title)
        axis.grid(alpha=0.25)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.savefig(path, dpi=110)


def draw_groups(path: Path) -> None:
    """Draw R^2 and MCC of every group of factors over the number of images seen."""
    shown = {
        "supervised": ("supervised", "0.35", "-"),
        "nearest-box": ("box, nearest latents", "C0", "-"),
        "exact-box": ("box, exact pairs", "C0", ":"),
        "nearest-unbounded": ("unbounded, nearest latents", "C1", "-"),
        "exact-unbounded": ("unbounded, exact pairs", "C1", ":"),
    }
    figure = Figure(figsize=(12, 5.6), layout="constrained")
    axes = figure.subplots(2, 3, sharex="col", sharey=True)
    for column, group in enumerate(("positions", "rotations", "spotlight-hues")):
        for row, (score, title) in enumerate((("r2", "R²"), ("mcc", "MCC"))):
            axis = axes[row, column]
            for name, (label, colour, style) in shown.items():
                images, values = curve(SCORES / "groups" / f"{group}-{name}", itemgetter(score))
                axis.plot(images, values, style, color=colour, label=label)
            axis.axhline(0.95, color="0.8", lw=0.8)
            axis.set(ylim=(0, 1.01), title=f"{title}, {group.replace('-', ' and ')}")
            axis.grid(alpha=0.25)
        axes[1, column].set_xlabel("images seen, in millions")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    draw(HERE / "factors.png")
    draw_more(HERE / "more.png")
    draw_groups(HERE / "groups.png")
    draw_correlations(HERE / "correlations.png")
