"""Strips: images side by side, at twice the resolution at which a page shows them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.pages.panels import Panel, Picture

_EDGE = 65  # CSS pixels of an image, so that five fit on a phone
_MOST_PIXELS = 2 * _EDGE
_GAP = 4  # CSS pixels between images
_CHANNELS = 4  # with alpha: gaps are transparent

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Strip:
    """Images side by side.

    Arguments:
        images: of one size, (H, W, 3), uint8.
        text: what they show, for those who cannot see it.
        label: what the page writes above them.
        apart: whether the first stands apart from the others.
    """

    images: Sequence[Pixels]
    text: str
    label: str
    apart: bool = False


def strip_picture(strips: Sequence[Strip], title: str, caption: str) -> Picture:
    """A picture of strips of images of one size, in a file one below the other.

    Arguments:
        strips: of as many images each; one or more.
        title: of the section.
        caption: below the strips.
    """
    edge = min(strips[0].images[0].shape[1], _MOST_PIXELS)
    scale = _EDGE / edge
    gap = max(1, round(_GAP / scale))
    drawn = [_joined(strip, edge, gap) for strip in strips]
    panels = tuple(
        _panel(pixels, scale, strip) for pixels, strip in zip(drawn, strips, strict=True)
    )
    between = np.zeros((gap, drawn[0].shape[1], _CHANNELS), np.uint8)
    stacked = [part for pixels in drawn for part in (pixels, between)][:-1]
    return Picture(title, caption, panels, {".png": _png(np.concatenate(stacked))})


def _joined(strip: Strip, edge: int, gap: int) -> Pixels:
    """The images of a strip with gaps between them, shape (H, W, 4)."""
    parts: list[Pixels] = []
    for place, image in enumerate(strip.images):
        shown = _shrunk(image, edge)
        if place:
            wide = gap * (3 if strip.apart and place == 1 else 1)
            parts.append(np.zeros((len(shown), wide, _CHANNELS), np.uint8))
        parts.append(np.dstack([shown, np.full(shown.shape[:2], 255, np.uint8)]))
    return np.concatenate(parts, axis=1)


def _shrunk(image: Pixels, edge: int) -> Pixels:
    """The image, ``edge`` pixels wide."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    if picture.width > edge:
        high = round(picture.height * edge / picture.width)
        picture = picture.resize((edge, high), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def _panel(pixels: Pixels, scale: float, strip: Strip) -> Panel:
    high, wide = (round(side * scale) for side in pixels.shape[:2])
    return Panel(_png(pixels), "png", wide, high, strip.text, strip.label)


def _png(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="png", optimize=True)
    return buffer.getvalue()
