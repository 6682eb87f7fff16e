"""Conversion of physical latents to a :class:`Frame`, the plain numbers of one image.

The spotlight is at (4 sin theta, 4 cos theta, 6 + D), where D is the object's largest dimension,
and is aimed at the object's origin. The height of the object's origin is its z factor plus D / 2.
The height of the ground is -D.
"""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from render.scene.constants import TintNumbers, Triple, scene_numbers
from render.scene.teapot import scene_teapot
from threedident.latents.factors import NAMES

HueMode = Literal["wrapped", "published"]
Material = Literal["rubber", "metal"]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """All numbers that differ between two images of a data set.

    Arguments:
        object_location: origin of the object, Blender units.
        object_rotation: Euler angles XYZ of the object, rad.
        spot_location: position of the spotlight, Blender units.
        object_color: colour of the object, linear RGB.
        spot_color: colour of the spotlight, linear RGB.
        ground_color: colour of the ground, linear RGB.
    """

    object_location: Triple
    object_rotation: Triple
    spot_location: Triple
    object_color: Triple
    spot_color: Triple
    ground_color: Triple


def largest_dimension() -> float:
    """D, the largest dimension of the scaled object before rotation, in Blender units."""
    return scene_numbers().object.scale * scene_teapot().largest_dimension


def hue_to_rgb(angle: float, tint: TintNumbers, mode: HueMode) -> Triple:
    """The linear RGB colour of a hue angle.

    Arguments:
        angle: hue angle in rad; 2 pi is a full turn.
        tint: saturation and value.
        mode: ``wrapped`` takes the angle modulo a full turn. ``published`` puts negative angles
            into the HSV formula unchanged and clamps negative channels to zero, as in the
            published images. Several angles then have the same colour.
    """
    hue = angle / (2 * math.pi)
    if mode == "wrapped":
        hue %= 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, tint.saturation, tint.value)
    return max(red, 0.0), max(green, 0.0), max(blue, 0.0)


def frame(physical: ArrayLike, mode: HueMode) -> Frame:
    """The frame of one row of physical latents.

    Arguments:
        physical: ten values in the order of :data:`threedident.latents.factors.FACTORS`; lengths
            in Blender units, angles in rad.
        mode: mapping from hue angles to colours, see :func:`hue_to_rgb`.
    """
    row = dict(zip(NAMES, np.asarray(physical, dtype=np.float64).tolist(), strict=True))
    numbers, size = scene_numbers(), largest_dimension()
    spot = numbers.spot
    return Frame(
        object_location=(row["x"], row["y"], row["z"] + size / 2),
        object_rotation=(row["alpha"], row["beta"], row["gamma"]),
        spot_location=(
            spot.orbit_radius * math.sin(row["theta"]),
            spot.orbit_radius * math.cos(row["theta"]),
            spot.orbit_height + size,
        ),
        object_color=hue_to_rgb(row["object_hue"], numbers.hue.object, mode),
        spot_color=hue_to_rgb(row["spotlight_hue"], numbers.hue.spotlight, mode),
        ground_color=hue_to_rgb(row["background_hue"], numbers.hue.background, mode),
    )
