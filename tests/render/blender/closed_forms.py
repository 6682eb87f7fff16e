"""The picture against theory: every shot of ``stage.py`` against a closed form.

What is expected is written down here from the scene's published numbers, not read from the
renderer. With u the unit vector to the camera, w that to a lamp, n the surface's normal and h
halfway between u and w, the radiance that leaves a surface is the integral over the lamp

    L_o(u) = integral f_r(u, w) (n.w) L(w) dw

and no light bounces. The lamps' radiances L are

    sun   E / (pi sin^2 a) within a cone of half-angle a = 0.0997
    area  P / (pi A), one-sided
    spot  P / (4 pi^2 r^2), times smoothstep((cos t - cos t_1) / (0.1 (1 - cos t_1))) at an angle t
          from its axis, t_1 = 17.5 deg

and the rubber of colour C, with F_n Fresnel's reflectance of an interface of index n at u, is

    f_r = (1 - F_1.2) ((1 - F_1.4) C / pi + F_1.4 C V) + F_1.2 0.8 B
    B = D G / (4 (n.u) (n.w)), D = exp(-tan^2 h / a^2) / (pi a^2 cos^4 h), a = 0.35,
        G = 1 / (1 + l(u) + l(w)), l(w) = (erf x - 1 + exp(-x^2) / (x sqrt pi)) / 2, x = cot w / a
    V = D' G' / (4 (n.u) (n.w)), D' = exp(-cot^2 h / s^2) / (pi s^2 sin^4 h), s = 0.6,
        G' = min(1, 2 (n.h) (n.u) / (u.h), 2 (n.h) (n.w) / (u.h))

References:
    Microfacet Models for Refraction through Rough Surfaces, Walter et al., 2007,
        https://doi.org/10.2312/EGWR/EGSR07/195-206
    A microfacet-based BRDF generator, Ashikhmin et al., 2000,
        https://doi.org/10.1145/344779.344814
    A radiation heat transfer catalog of configuration factors, Howell, B-3,
        https://www.thermalradiation.net
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from render.scene.teapot import Mesh, scene_teapot
from tests.render.blender.stage import (
    ALBEDO,
    Latents,
)

Array = NDArray[np.float64]


CAMERA = np.array([8.0, 0.0, 8.0])
HALF = math.sqrt(0.5)
AXES = np.array([[0.0, 1.0, 0.0], [-HALF, 0.0, HALF], [HALF, 0.0, HALF]])
TAN = 25 / 35
SCALE = 1.5
SIZE = SCALE * float(np.ptp(scene_teapot().vertices, axis=0).max())
GROUND = -SIZE


SUN, SUN_HALF_ANGLE = 0.5, 0.19933730 / 2


AREA, AREA_SIDE, AREA_PLACE = 39.2699089, 1.0, np.array([0.0, 0.0, 7.0])


SPOT, SPOT_RADIUS, SPOT_HALF_ANGLE, SPOT_BLEND = 3000.0, 0.5, math.radians(17.5), 0.1


SUN_RADIANCE = SUN / (math.pi * math.sin(SUN_HALF_ANGLE) ** 2)
AREA_RADIANCE = AREA / (math.pi * AREA_SIDE**2)
SPOT_RADIANCE = SPOT / (4 * math.pi**2 * SPOT_RADIUS**2)


@dataclass(frozen=True)
class Light:
    """A lamp cut into S pieces, as seen from N points.

    Arguments:
        directions: unit vectors to the pieces, shape (N, S, 3).
        weights: radiance times solid angle of the pieces, shape (N, S).
    """

    directions: Array
    weights: Array


Reflection = Callable[[Array, Light], Array]


@dataclass(frozen=True)
class Shots:
    """What Blender drew."""

    arrays: dict[str, NDArray[Any]]

    def image(self, name: str) -> NDArray[np.uint8]:
        """What ``Stage.draw`` returned, shape (edge, edge, 3)."""
        return self.arrays[f"{name}/image"]

    def radiance(self, name: str) -> Array:
        """Linear radiance of the same render, shape (edge, edge, 3)."""
        return self.arrays[f"{name}/radiance"].astype(np.float64)


def unit(vectors: Array) -> Array:
    normed: Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return normed


def pixel_centres(edge: int) -> Array:
    """Column and row, shape (edge, edge, 2)."""
    middles = np.arange(edge) + 0.5
    return np.stack(np.meshgrid(middles, middles), axis=-1)


def plane_points(edge: int, height: float = GROUND, offset: tuple[float, float] = (0, 0)) -> Array:
    """Where rays through the pixels' centres, or an offset off them, meet z = height.

    Returns:
        Points in world space, shape (edge^2, 3).
    """
    column, row = np.moveaxis(2 * (pixel_centres(edge) + offset) / edge - 1, -1, 0)
    directions = np.stack([column * TAN, -row * TAN, -np.ones_like(row)], axis=-1) @ AXES
    directions = directions.reshape(-1, 3)
    points: Array = CAMERA + directions * ((height - CAMERA[2]) / directions[:, 2])[:, None]
    return points


def filter_window(count: int) -> tuple[Array, Array]:
    """Places in pixels and weights of the pixel filter along one axis.

    Blackman and Harris' window over a turn, 0.35875 - 0.48829 cos t + 0.14128 cos 2t
    - 0.01168 cos 3t, has its support on twice the width of 1.5 pixels.
    """
    turn = (np.arange(count) + 0.5) / count
    factors = np.array([0.35875, -0.48829, 0.14128, -0.01168])
    window = np.cos(2 * math.pi * np.outer(turn, np.arange(4))) @ factors
    return 3 * (turn - 0.5), window / window.sum()


def place(latents: Latents) -> Array:
    return 3 * np.array(latents[:3]) + [0.0, 0.0, SIZE / 2]


def spot_place(latents: Latents) -> Array:
    theta = math.pi / 2 * latents[6]
    return np.array([4 * math.sin(theta), 4 * math.cos(theta), 6 + SIZE])


def hue(raw: float, saturation: float) -> Array:
    """HSV(h, s, 1) with h = raw / 4: 1 - s clip(min(k, 4 - k), 0, 1), k = n + 6 h mod 6."""
    k = (np.array([5.0, 3.0, 1.0]) + 6 * raw / 4) % 6
    return 1 - saturation * np.clip(np.minimum(k, 4 - k), 0, 1)


def disc_rule(rings: int = 6, spokes: int = 16) -> tuple[Array, Array, Array]:
    """Squared radii, angles and weights, which add up to 1, of quadrature over the unit disc."""
    nodes, weights = np.polynomial.legendre.leggauss(rings)
    angles = 2 * math.pi * (np.arange(spokes) + 0.5) / spokes
    squares = np.repeat((nodes + 1) / 2, spokes)
    return squares, np.tile(angles, rings), np.repeat(weights / 2 / spokes, spokes)


def sun(points: Array, tilt: float = 0.0) -> Light:
    """Pieces of the sky's cap, whose solid angle is even in the square of the disc's radius."""
    squares, angles, weights = disc_rule()
    cos = 1 - squares * (1 - math.cos(SUN_HALF_ANGLE))
    sin = np.sqrt(1 - cos**2)
    x, y = sin * np.cos(angles), sin * np.sin(angles)
    c, s = math.cos(tilt), math.sin(tilt)
    directions = np.stack([c * x + s * cos, y, c * cos - s * x], axis=-1)
    received = SUN_RADIANCE * 2 * math.pi * (1 - math.cos(SUN_HALF_ANGLE)) * weights
    shape = (len(points), len(weights))
    return Light(
        directions=np.broadcast_to(directions, (*shape, 3)),
        weights=np.broadcast_to(received, shape),
    )


def _pieces(points: Array, places: Array, flux: Array) -> Light:
    """Pieces at ``places``, shape (N, S, 3); ``flux`` is radiance times projected area."""
    towards = places - points[:, None]
    distances = np.linalg.norm(towards, axis=-1)
    return Light(directions=towards / distances[..., None], weights=flux / distances**2)


def area(points: Array, count: int = 6) -> Light:
    """Pieces of a square that faces down."""
    across = AREA_SIDE * ((np.arange(count) + 0.5) / count - 0.5)
    x, y = np.meshgrid(across, across)
    places = AREA_PLACE + np.stack([x, y, 0 * x], axis=-1).reshape(1, -1, 3)
    cos = unit(places - points[:, None])[..., 2]
    return _pieces(points, places, AREA_RADIANCE * (AREA_SIDE / count) ** 2 * cos)


def spot(points: Array, latents: Latents) -> Light:
    """Pieces of the sphere's disc towards each point, dimmed by the angle at which they shine."""
    centre = spot_place(latents)
    axis = unit(place(latents) - centre)
    facing = unit(points - centre)
    side = unit(np.cross(facing, [0.3, 0.8, 0.1]))
    other = np.cross(facing, side)
    squares, angles, weights = disc_rule()
    x, y = np.sqrt(squares) * np.cos(angles), np.sqrt(squares) * np.sin(angles)
    disc = x[:, None] * side[:, None] + y[:, None] * other[:, None]
    places = centre + SPOT_RADIUS * disc
    rays = unit(points[:, None] - places)
    rim = math.cos(SPOT_HALF_ANGLE)
    t = np.clip((rays @ axis - rim) / (SPOT_BLEND * (1 - rim)), 0, 1)
    flux = SPOT_RADIANCE * math.pi * SPOT_RADIUS**2 * weights * t**2 * (3 - 2 * t)
    return _pieces(points, places, flux)


def corner_factor(x: Array, y: Array) -> Array:
    """Configuration factor of a parallel rectangle x by y at distance 1, a corner overhead."""
    p, q = np.sqrt(1 + x**2), np.sqrt(1 + y**2)
    factor: Array = (x / p * np.arctan(y / p) + y / q * np.arctan(x / q)) / (2 * math.pi)
    return factor


def area_irradiance(points: Array, x_min: Array | float = -AREA_SIDE / 2) -> Array:
    """Irradiance of horizontal planes by the part of the area light with x > x_min."""
    (px, py, pz), side = points.T, AREA_SIDE / 2
    depth = AREA_PLACE[2] - pz
    left, right = (x_min - px) / depth, (side - px) / depth
    back, front = (-side - py) / depth, (side - py) / depth
    corners = corner_factor(right, front) - corner_factor(left, front)
    corners = corners - corner_factor(right, back) + corner_factor(left, back)
    irradiance: Array = math.pi * AREA_RADIANCE * corners
    return irradiance


def diffuse(_: Array, __: Light) -> Array:
    return np.array(ALBEDO) / math.pi


def outgoing(points: Array, lamp: Light, reflection: Reflection) -> Array:
    """Radiance of a horizontal plane at ``points`` towards the camera, shape (N, 3)."""
    received = lamp.weights * np.maximum(lamp.directions[..., 2], 0)
    radiance: Array = (reflection(points, lamp) * received[..., None]).sum(axis=1)
    return radiance


def blocks(pixels: Array, size: int = 8) -> Array:
    """Means over squares of ``size`` pixels, shape (edge / size, edge / size, 3)."""
    edge = math.isqrt(pixels.size // 3) // size
    means: Array = pixels.reshape(edge, size, edge, size, 3).mean(axis=(1, 3))
    return means


def square(pixels: Array) -> Array:
    """Pixels, shape (edge^2, 3), as an image."""
    edge = math.isqrt(len(pixels))
    return pixels.reshape(edge, edge, 3)


def rms(values: Array) -> float:
    return float(np.sqrt((values**2).mean()))


def centroid(coverage: Array) -> Array:
    weighted = coverage[..., None] * pixel_centres(len(coverage))
    middle: Array = weighted.sum(axis=(0, 1)) / coverage.sum()
    return middle


def project(points: Array, edge: int) -> Array:
    """Column and row of world points; pixel i covers [i, i + 1]."""
    x, y, z = np.moveaxis((points - CAMERA) @ AXES.T, -1, 0)
    pixels: Array = np.stack([1 - x / z / TAN, 1 + y / z / TAN], axis=-1) * edge / 2
    return pixels


def rotation(latents: Latents) -> Array:
    """Euler angles XYZ: first about x, last about z."""
    cos, sin = np.cos(math.pi / 2 * np.array(latents)), np.sin(math.pi / 2 * np.array(latents))
    about_x = np.array([[1, 0, 0], [0, cos[3], -sin[3]], [0, sin[3], cos[3]]])
    about_y = np.array([[cos[4], 0, sin[4]], [0, 1, 0], [-sin[4], 0, cos[4]]])
    about_z = np.array([[cos[5], -sin[5], 0], [sin[5], cos[5], 0], [0, 0, 1]])
    turn: Array = about_z @ about_y @ about_x
    return turn


def teapot(latents: Latents) -> Mesh:
    """The teapot in world space."""
    mesh = scene_teapot()
    vertices = SCALE * mesh.vertices @ rotation(latents).T + place(latents)
    return Mesh(vertices=vertices, faces=mesh.faces)


def polygon_coverage(mesh: Mesh, edge: int, fine: int = 16) -> Array:
    """How much of each pixel the projected faces cover, by filling them on a finer grid."""
    corners = project(mesh.vertices, edge) * fine
    canvas = Image.new("1", (edge * fine,) * 2)
    pen = ImageDraw.Draw(canvas)
    for face in mesh.faces:
        pen.polygon([tuple(corners[i]) for i in face], fill=1)
    cells = np.asarray(canvas, dtype=np.float64).reshape(edge, fine, edge, fine)
    coverage: Array = cells.mean(axis=(1, 3))
    return coverage
