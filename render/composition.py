"""A frame from two layers: the ground, drawn coarsely light by light, and the object over it.

Nothing but direct light is drawn, so light adds up: the ground under all lamps is the sum of
the ground under each, and every lamp gets as many samples as it needs. The ground has no edges
of its own, only soft shadows, so :func:`ground_edge` pixels hold it; almost all of the noise that
an eye or a PSNR sees sits on the object's outline, so most samples go to the box around it.
Both layers are exact in expectation, since the object always stands above the ground.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Image32 = NDArray[np.float32]

_LEAST_GROUND = 112  # below, shadows are too sharp in pixels to be drawn at half the resolution


def ground_edge(edge: int) -> int:
    """The resolution at which the ground of an image of ``edge`` pixels is drawn."""
    return min(edge, max(_LEAST_GROUND, edge // 2))


def enlarge(ground: Image32, edge: int) -> Image32:
    """A ground of any resolution at ``edge`` pixels, by Lanczos interpolation."""
    if len(ground) == edge:
        return ground
    channels = [Image.fromarray(np.ascontiguousarray(c)) for c in np.moveaxis(ground, -1, 0)]
    sized = [channel.resize((edge, edge), Image.Resampling.LANCZOS) for channel in channels]
    return np.stack([np.asarray(channel) for channel in sized], axis=-1)


def over(layer: Image32, ground: Image32) -> Image32:
    """A layer of premultiplied colour and alpha, shape (H, W, 4), over a ground (H, W, 3)."""
    return np.asarray(layer[..., :3] + (1 - np.clip(layer[..., 3:], 0, 1)) * ground)


def encode(linear: Image32) -> NDArray[np.uint8]:
    """Linear radiance as 8-bit sRGB, as Blender's Standard view transform does."""
    x = np.clip(linear, 0, 1)
    curve = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(x, 1 / 2.4) - 0.055)
    return np.asarray(curve * 255 + 0.5).astype(np.uint8)
