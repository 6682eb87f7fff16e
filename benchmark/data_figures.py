"""Figures of a data set: its factors as images, and what its pairs delivered."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmark.figures import png
from benchmark.sources import Picture
from threedident.dataset import ThreeDIdent
from threedident.delivery import Delivered
from threedident.factors import FACTORS, LABELS
from threedident.index import NearestLatents

TRAVERSAL_VALUES = (-0.9, -0.45, 0.0, 0.45, 0.9)


def delivered(found: Delivered) -> Picture:
    """Requested against delivered steps."""
    return Picture(
        png(found.figure()),
        "What the pairs delivered",
        "Root mean square step of every factor as requested and as delivered, and histograms of "
        "the snap distances",
        "A positive by nearest latent is the rendered image nearest to what the conditional drew, "
        "so the step between the two images is wider than requested. Denser data or positives "
        "rendered exactly (threedident render --pairs) narrow it.",
    )


def traversal(dataset: ThreeDIdent) -> Picture:
    """The rendered traversal that lies beside the data, or its nearest images."""
    exact = dataset.folder.root / "traversal.png"
    rendered = exact.is_file()
    return Picture(
        exact.read_bytes() if rendered else nearest_traversal(dataset),
        "The factors, as images",
        "Traversal of the ten factors, one column a factor",
        "Rendered traversal: one factor moves in each column, all others are held still."
        if rendered
        else "The train images nearest to each axis of the latent space: one factor moves in each "
        "column, the others are as near to 0 as the data set allows.",
    )


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
