"""Figure of all qualities: speed and PSNR of each, and an image of its errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from render.measure.measurement import Measurement
from threedident.runtime.figures import png

_MAGNIFIED = 16


def qualities_figure(found: Sequence[Measurement], reference: NDArray[np.uint8]) -> bytes:
    """The figure of the measurements, as the content of a PNG file.

    Arguments:
        found: the measurements.
        reference: reference of the first image, shape (H, W, 3).
    """
    figure = Figure(figsize=(3.6 + 1.7 * (1 + len(found)), 3.6), layout="constrained")
    grid = figure.add_gridspec(2, 2 + len(found) + 1)
    _speed_axis(figure.add_subplot(grid[:, :2]), found)
    _show(figure.add_subplot(grid[0, 2]), reference, "4096 samples")
    for column, measurement in enumerate(found, start=3):
        image = measurement.images[0]
        error = np.abs(image.astype(np.int16) - reference)
        _show(figure.add_subplot(grid[0, column]), image, measurement.quality)
        magnified = np.clip(_MAGNIFIED * error, 0, 255).astype(np.uint8)
        _show(figure.add_subplot(grid[1, column]), magnified, f"error x {_MAGNIFIED}")
    return png(figure, 160)


def _speed_axis(axis: Any, found: Sequence[Measurement]) -> None:
    for measurement in found:
        values = [fidelity.psnr for fidelity in measurement.fidelity]
        [line] = axis.plot([measurement.images_per_s] * len(values), values, ".", alpha=0.4)
        mean = (measurement.images_per_s, measurement.psnr[0])
        axis.plot(*mean, "o", color=line.get_color())
        axis.annotate(f"  {measurement.quality}", mean, fontsize=8, va="center")
    axis.set_xscale("log")
    axis.margins(x=0.25)
    axis.set_xlabel("images/s")
    axis.set_ylabel("PSNR against 4096 samples (dB)")
    axis.grid(alpha=0.3)


def _show(axis: Any, image: NDArray[np.uint8], title: str) -> None:
    axis.imshow(image)
    axis.set_title(title, fontsize=8)
    axis.set(xticks=[], yticks=[])
