"""Projection of the object onto the image, to find the pixels that it can cover."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from render.scene.constants import scene_numbers
from render.scene.frame import Frame
from render.scene.teapot import scene_teapot

_MARGIN = 3  # pixels around the object, for the width of the pixel filter and for rounding
_UP = np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class PixelBox:
    """Pixels ``top <= row < bottom``, ``left <= column < right``."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def is_empty(self) -> bool:
        """True if the box contains no pixel."""
        return self.left >= self.right or self.top >= self.bottom


def object_box(frame: Frame, edge: int) -> PixelBox:
    """The box of pixels that can show the object, in an image of ``edge`` pixels."""
    points = project(object_points(frame), edge)
    low = np.clip(np.floor(points.min(axis=0)) - _MARGIN, 0, edge).astype(int)
    high = np.clip(np.ceil(points.max(axis=0)) + _MARGIN, 0, edge).astype(int)
    return PixelBox(int(low[0]), int(low[1]), int(high[0]), int(high[1]))


def object_points(frame: Frame) -> NDArray[np.float64]:
    """The object's vertices in the scene, shape (V, 3)."""
    scaled = scene_numbers().object.scale * scene_teapot().vertices
    turned = scaled @ _rotation(*frame.object_rotation).T
    return np.asarray(turned + np.array(frame.object_location))


def _rotation(x: float, y: float, z: float) -> NDArray[np.float64]:
    """Rotation matrix of Euler angles XYZ in rad: about x first, about z last."""
    about_x = [[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]]
    about_y = [[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]]
    about_z = [[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]]
    return np.asarray(np.array(about_z) @ np.array(about_y) @ np.array(about_x))


def project(points: NDArray[np.float64], edge: int) -> NDArray[np.float64]:
    """Column and row in pixels of points (N, 3) of the scene, shape (N, 2).

    Pixel i covers [i, i + 1].
    """
    camera = scene_numbers().camera
    place = np.array(camera.location)
    back = (place - camera.target) / np.linalg.norm(place - camera.target)
    right = np.cross(_UP, back) / np.linalg.norm(np.cross(_UP, back))
    axes = np.stack([right, np.cross(back, right), back])
    x, y, z = ((points - place) @ axes.T).T
    focal = 2 * camera.lens_mm / camera.sensor_mm
    return np.asarray(np.stack([1 - focal * x / z, 1 + focal * y / z], axis=1) * (edge / 2))
