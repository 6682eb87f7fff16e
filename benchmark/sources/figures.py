"""Figures of a data set: its factors as images, and the steps that its pairs delivered."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.pages.picture import Panel, Picture
from benchmark.pages.strips import Strip, strip_picture
from threedident.dataset.split import ThreeDIdent
from threedident.index.nearest import NearestLatents
from threedident.latents.factor_set import FactorSet
from threedident.latents.factors import NAMES
from threedident.latents.spaces import find_space
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
    from benchmark.pages.panels import (  # loads matplotlib, which training does not need
        Plot,
        plotted,
    )

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


def traversal(dataset: ThreeDIdent, factors: FactorSet) -> Picture:
    """The picture of the rendered traversal in the data folder, or else of the nearest images."""
    exact = dataset.folder.root / "traversal.png"
    return (
        rendered_traversal(read_plain(exact, MOST_PICTURE))
        if exact.is_file()
        else nearest_traversal(dataset, factors)
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


def nearest_traversal(dataset: ThreeDIdent, factors: FactorSet) -> Picture:
    """The picture of the images of the data set that are nearest to the axes of the latent space.

    It has one strip for each factor and one image for each value of the factor. All other factors
    are as near to the middle of their range as the images allow.

    Arguments:
        dataset: a split without a transform.
        factors: the factors to show.
    """
    names = factors.names if any(factors.circular) else None
    targets = np.concatenate([_axis(factors.space, name) for name in factors.names])
    found = NearestLatents(dataset.latents, factors=names).search(targets).indices[:, 0]
    rows = found.reshape(len(factors.names), len(TRAVERSAL_VALUES))
    ends = f"{TRAVERSAL_VALUES[0]:+} to {TRAVERSAL_VALUES[-1]:+}"
    strips = [
        Strip(
            [np.asarray(dataset.picture(int(row))) for row in shown],
            f"Images in which {label} moves from {ends}",
            label,
        )
        for shown, label in zip(rows, factors.labels, strict=True)
    ]
    return strip_picture(
        strips,
        _TITLE,
        "The train images nearest to each axis of the latent space. In each strip one raw factor "
        f"moves from {ends}; the others are as near to 0 as the data set allows.",
    )


def _axis(space: str, name: str) -> NDArray[np.float32]:
    """Raw rows in which one factor moves and all others are 0, shape (values, columns)."""
    where = find_space(space)
    free = next(other for other in NAMES if other != name)  # its uniform number makes it 0
    others = {other: 0.0 for other in NAMES if other not in (name, free)}
    middle = np.full((1, where.count), 0.5)
    middle[:, where.flat :] = 0.6  # any point of the sphere, since every angle is given
    return np.concatenate(
        [where.sample(middle, {**others, name: value}) for value in TRAVERSAL_VALUES]
    )
