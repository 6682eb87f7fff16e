"""The traversal figure: one column per factor, one row for each of four values of it.

All other factors keep their value in :data:`REST`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from render.executors.executor import Executor
from render.jobs.job import Request, render_dataset
from threedident.latents.factors import FACTORS, LABELS
from threedident.runtime.errors import Interrupted
from threedident.runtime.figures import png
from threedident.runtime.files import write_bytes
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import Rendering
from threedident.storage.origin import Origin, rows_digest

VALUES = (-0.9, -0.3, 0.3, 0.9)
REST = np.array([0.0, 0.0, -0.2, 0.0, 0.0, 0.0, 0.0, 0.3, 0.2, -0.4])


def traversal_rows() -> NDArray[np.float32]:
    """Raw latents of the figure, shape (40, 10): all factors at the first value, then the next."""
    count = len(FACTORS)
    rows = np.tile(REST, (len(VALUES), count, 1))
    for column in range(count):
        rows[:, column, column] = VALUES
    return rows.reshape(-1, count).astype(np.float32)


def traversal(out: Path, rendering: Rendering, start: Callable[[SplitFolder], Executor]) -> None:
    """Render the traversal and write it as a PNG.

    Arguments:
        out: path of the PNG file, in an existing folder.
        rendering: settings of the render.
        start: function that creates the executor.

    Raises:
        ValueError: ``out`` does not end in ``.png``, its folder does not exist, or the render
            fails.
        Interrupted: the user stopped the render.
    """
    if out.suffix.lower() != ".png":
        raise ValueError(f"{out}: expected a name that ends in .png, found {out.suffix!r}")
    if not out.parent.is_dir():
        raise ValueError(f"{out}: expected an existing folder, found none; create {out.parent}")
    rows = traversal_rows()
    with tempfile.TemporaryDirectory() as scratch:
        folder = SplitFolder(Path(scratch), "train")
        origin = Origin(split="train", rows=rows_digest(rows))
        try:
            request = Request(folder, len(rows), origin, rows)
            render_dataset(Path(scratch), [request], rendering, start, name="traversal")
        except Interrupted:
            raise Interrupted(f"interrupted: {out} was not written") from None
        images = np.stack([_read(folder.image(i)) for i in range(len(rows))])
    write_bytes(out, _figure(images))


def _read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def _figure(images: NDArray[np.uint8]) -> bytes:
    """PNG of a grid of images, each one inch wide, at a resolution that shows every pixel."""
    rows, columns = len(VALUES), len(FACTORS)
    gap, left, top = 0.04, 0.35, 0.25
    width, height = left + columns * (1 + gap), top + rows * (1 + gap)
    figure = Figure(figsize=(width, height))
    for place, image in enumerate(images):
        row, column = divmod(place, columns)
        x, y = left + column * (1 + gap), height - top - row * (1 + gap) - 1
        axis = figure.add_axes((x / width, y / height, 1 / width, 1 / height))
        axis.imshow(image)
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        if row == 0:
            axis.set_title(LABELS[column], fontsize=8)
        if column == 0:
            axis.set_ylabel(f"{VALUES[row]:+.1f}", fontsize=8)
    return png(figure, images.shape[1])
