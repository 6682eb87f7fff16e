"""Figures of a data set: its factors as images, and the steps that its pairs delivered."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from benchmark.pages.panels import Panel, Picture, Plot, plotted
from benchmark.pages.strips import Strip, strip_picture
from threedident.dataset.split import ThreeDIdent
from threedident.index.nearest import NearestLatents
from threedident.latents.factors import LABELS
from threedident.pairs.delivered import Delivered
from threedident.runtime.files import read_plain
from threedident.storage.folder import MOST_PICTURE

TRAVERSAL_VALUES = (-0.9, -0.45, 0.0, 0.45, 0.9)
_TITLE = "The factors, as images"
_WIDENED = (
    "A positive by nearest latent is the rendered image whose latents are nearest to the draw "
    "from the conditional, so the step between the two images is wider than requested. Denser "
    "data or positives rendered exactly (threedident render --pairs) make it narrower."
)
_EXACT = "Every positive was rendered exactly as drawn, so the steps are the requested ones."


def delivered(found: Delivered) -> Picture:
    """The picture of requested and delivered steps."""
    words = "Root mean square step of every factor as requested and as delivered"
    plots = [Plot(found.draw_steps, words)]
    snapped = found.positive_snaps.any()
    if snapped or found.anchor_snaps.any():
        words = "Histograms of the snap distances of anchors and positives"
        plots.append(Plot(found.draw_snaps, words))
    caption = _WIDENED if snapped else _EXACT
    if found.agreeing is not None:
        caption += f" {found.agreement}."
    return plotted(plots, "What the pairs delivered", caption)


def traversal(dataset: ThreeDIdent) -> Picture:
    """The picture of the rendered traversal in the data folder, or else of the nearest images."""
    exact = dataset.folder.root / "traversal.png"
    return (
        rendered_traversal(read_plain(exact, MOST_PICTURE))
        if exact.is_file()
        else nearest_traversal(dataset)
    )


def rendered_traversal(png: bytes) -> Picture:
    """The picture of a traversal drawn by ``threedident traverse``.

    Arguments:
        png: content of the PNG file.
    """
    with Image.open(io.BytesIO(png)) as picture:
        width, height = picture.size
    text = "Traversal of the ten factors, one column a factor"
    return Picture(
        _TITLE,
        "Rendered traversal: one factor changes in each column, all others stay fixed.",
        (Panel(png, "png", width, height, text),),
        {".png": png},
    )


def nearest_traversal(dataset: ThreeDIdent) -> Picture:
    """The picture of the images of the data set that are nearest to the axes of the latent space.

    It has one strip for each factor and one image for each value of the factor. All other factors
    are as near to 0 as the images allow.

    Arguments:
        dataset: a split without a transform.
    """
    count = len(LABELS)
    targets = np.zeros((count, len(TRAVERSAL_VALUES), count))
    for factor in range(count):
        targets[factor, :, factor] = TRAVERSAL_VALUES
    found = NearestLatents(dataset.latents).search(targets.reshape(-1, count)).indices[:, 0]
    rows = found.reshape(count, len(TRAVERSAL_VALUES))
    ends = f"{TRAVERSAL_VALUES[0]:+} to {TRAVERSAL_VALUES[-1]:+}"
    strips = [
        Strip(
            [np.asarray(dataset.picture(int(row))) for row in rows[factor]],
            f"Images in which {label} moves from {ends}",
            label,
        )
        for factor, label in enumerate(LABELS)
    ]
    return strip_picture(
        strips,
        _TITLE,
        "The train images nearest to each axis of the latent space. In each strip one raw factor "
        f"moves from {ends}; the others are as near to 0 as the data set allows.",
    )
