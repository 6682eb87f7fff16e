"""Strips: images side by side, stored with up to twice the resolution that a page shows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmark.pages.picture import Panel, Picture

_EDGE = 65  # edge of an image in CSS pixels, so that five fit on a phone
_MOST_PIXELS = 2 * _EDGE
_GAP = 4  # CSS pixels between images
_CHANNELS = 4  # with alpha, because gaps are transparent

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Strip:
    """Images side by side.

    Arguments:
        images: images of the same size, shape (H, W, 3), uint8.
        text: alternative text for readers who cannot see the images.
        label: text that the page shows above them.
        apart: True for a wider gap after the first image.
    """

    images: Sequence[Pixels]
    text: str
    label: str
    apart: bool = False


def strip_picture(strips: Sequence[Strip], title: str, caption: str) -> Picture:
    """A picture of strips of images of the same size. Its file has the strips below each other.

    Arguments:
        strips: one or more strips with the same number of images.
        title: title of the section.
        caption: text below the strips.
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
    """The image, reduced to a width of ``edge`` pixels if it is wider."""
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
