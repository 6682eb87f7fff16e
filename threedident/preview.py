"""Contact sheets: random samples of a data set, each with its latents drawn as small bars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from threedident.dataset.split import ThreeDIdent
from threedident.latents.factors import FACTORS
from threedident.latents.spaces import SPACES
from threedident.runtime.figures import png
from threedident.runtime.files import write_bytes

_COLORS = {
    "position": "#3b6fb6",
    "rotation": "#c8553d",
    "spotlight": "#d9a21b",
    "hue": "#4c956c",
}
_COLUMNS = 6
_DPI = 150


def contact_sheet(root: Path, split: str, count: int, seed: int, out: Path) -> int:
    """Draw random samples of a split into a PNG.

    Arguments:
        root: folder of the data set.
        split: ``train`` or ``test``. If positives were rendered for it, they are drawn too.
        count: maximum number of samples.
        seed: seed of the random choice of samples.
        out: path of the PNG file.

    Returns:
        Number of samples drawn.

    Raises:
        ValueError: the data set does not exist, or ``out`` does not end in ``.png``.
    """
    if out.suffix.lower() != ".png":
        raise ValueError(f"{out}: expected a name that ends in .png, found {out.suffix!r}")
    sets = [ThreeDIdent(root, split, np.asarray)]
    if sets[0].folder.positives.path.is_dir():
        sets.append(ThreeDIdent(root, f"{split}/positives", np.asarray))
    rng, rows = np.random.default_rng(seed), min(len(dataset) for dataset in sets)
    picked = rng.choice(rows, size=min(count, rows), replace=False)
    write_bytes(out, png(_draw(sets, picked.tolist()), _DPI))
    return len(picked)


def heights(dataset: ThreeDIdent, rows: list[int]) -> NDArray[np.float64]:
    """Factors scaled to their ranges, -1 at the low end and 1 at the high end, shape (N, 10)."""
    space = SPACES[dataset.manifest.origin.space if dataset.manifest is not None else "box"]
    low, high = space.ranges.T
    return np.asarray(2.0 * (space.physical(dataset.latents[rows]) - low) / (high - low) - 1.0)


def _draw(sets: list[ThreeDIdent], rows: list[int]) -> Figure:
    columns = min(_COLUMNS // len(sets), len(rows))
    lines = -(-len(rows) // columns)
    width, image, bars, gap, head = 1.3 * len(sets), 1.3, 0.45, 0.14, 0.3
    size = (gap + columns * (width + gap), head + lines * (image + bars + gap))
    figure = Figure(figsize=size)
    levels = [heights(dataset, rows) for dataset in sets]

    def box(left: float, top: float, wide: float, high: float) -> Any:
        place = (left / size[0], 1 - (top + high) / size[1], wide / size[0], high / size[1])
        axis = figure.add_axes(place)
        axis.set_axis_off()
        return axis

    for place, row in enumerate(rows):
        line, column = divmod(place, columns)
        left, top = gap + column * (width + gap), head + line * (image + bars + gap)
        for k, dataset in enumerate(sets):
            box(left + k * image, top, image, image).imshow(dataset[row][0])
        _draw_bars(box(left, top + image, width, bars), [level[place] for level in levels])
        figure.text(left / size[0], 1 - top / size[1], str(row), fontsize=5, va="bottom")
    _draw_legend(figure, pairs=len(sets) > 1)
    return figure


def _draw_bars(axis: Any, levels: list[NDArray[np.float64]]) -> None:
    """Draw one bar per factor, from the middle of its range.

    For a pair, the anchor's bar is on the left and solid, the positive's on the right and pale.
    """
    colors = [_COLORS[factor.group] for factor in FACTORS]
    share = 0.8 / len(levels)
    for k, level in enumerate(levels):
        places = np.arange(len(FACTORS)) + (k + 0.5) * share - 0.4
        axis.bar(places, level, share, color=colors, alpha=1.0 if k == 0 else 0.45)
    axis.axhline(0.0, color="0.6", linewidth=0.4)
    axis.set(xlim=(-0.7, len(FACTORS) - 0.3), ylim=(-1.1, 1.1))


def _draw_legend(figure: Figure, pairs: bool) -> None:
    names = {
        group: ", ".join(factor.name for factor in FACTORS if factor.group == group)
        for group in _COLORS
    }
    patches = [Patch(color=_COLORS[group], label=name) for group, name in names.items()]
    if pairs:
        patches.append(Patch(color="0.5", alpha=0.45, label="positive"))
    figure.legend(
        handles=patches, loc="upper center", ncols=len(patches), fontsize=4.5, frameon=False
    )
