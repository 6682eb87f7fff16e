"""The picture against theory: every shot of ``tests/render/blender/stage.py`` against a closed form.

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
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt, maximum_filter
from scipy.spatial import KDTree
from scipy.special import erf

from render.scene.teapot import Mesh, scene_teapot
from tests.render.blender import stage
from tests.render.blender.stage import (
    ALBEDO,
    CENTRE,
    HUES,
    LAMPS,
    OCCLUDERS,
    OTHER_HUES,
    POSES,
    SHOTS,
    SPAN,
    SPOTS,
    STEP,
    TERMS,
    TILTS,
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


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Shots:
    """Image and radiance of every shot, drawn by one Blender."""
    out = tmp_path_factory.mktemp("shots") / "shots.npz"
    command, root = [sys.executable, "-m", stage.__name__, str(out)], Path(__file__).parents[3]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    with np.load(out) as archive:
        return Shots(dict(archive))


# The camera


def unit(vectors: Array) -> Array:
    normed: Array = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return normed


def project(points: Array, edge: int) -> Array:
    """Column and row of world points; pixel i covers [i, i + 1]."""
    x, y, z = np.moveaxis((points - CAMERA) @ AXES.T, -1, 0)
    pixels: Array = np.stack([1 - x / z / TAN, 1 + y / z / TAN], axis=-1) * edge / 2
    return pixels


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


def blurred(radiance: Callable[[Array], Array], edge: int, height: float = GROUND) -> Array:
    """Pixels of a plane, to third order in the filter's size, shape (edge, edge, 3).

    Arguments:
        radiance: maps points, shape (N, 3), to radiances, shape (N, 3).
        edge: edge of the image in pixels.
        height: of the plane.
    """
    places, weights = filter_window(100)
    sigma = math.sqrt(weights @ places**2)
    corners = [(x, y) for x in (-sigma, sigma) for y in (-sigma, sigma)]
    drawn = [radiance(plane_points(edge, height, corner)) for corner in corners]
    return square(np.mean(drawn, axis=0))


# The factors


def place(latents: Latents) -> Array:
    return 3 * np.array(latents[:3]) + [0.0, 0.0, SIZE / 2]


def spot_place(latents: Latents) -> Array:
    theta = math.pi / 2 * latents[6]
    return np.array([4 * math.sin(theta), 4 * math.cos(theta), 6 + SIZE])


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


def hue(raw: float, saturation: float) -> Array:
    """HSV(h, s, 1) with h = raw / 4: 1 - s clip(min(k, 4 - k), 0, 1), k = n + 6 h mod 6."""
    k = (np.array([5.0, 3.0, 1.0]) + 6 * raw / 4) % 6
    return 1 - saturation * np.clip(np.minimum(k, 4 - k), 0, 1)


# The lamps


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


def disc_fraction(u: Array) -> Array:
    """Part of a unit disc on one side of a line at a signed distance u from its centre."""
    u = np.clip(u, -1, 1)
    fraction: Array = 0.5 + (u * np.sqrt(1 - u**2) + np.arcsin(u)) / math.pi
    return fraction


# The materials


def diffuse(_: Array, __: Light) -> Array:
    return np.array(ALBEDO) / math.pi


def fresnel(cos: Array, index: float) -> Array:
    """Unpolarised reflectance at a dielectric: half the sum of both polarisations'."""
    refracted = np.sqrt(1 - (1 - cos**2) / index**2)
    perpendicular = (cos - index * refracted) / (cos + index * refracted)
    parallel = (refracted - index * cos) / (refracted + index * cos)
    reflectance: Array = (perpendicular**2 + parallel**2) / 2
    return reflectance


def smith(cos: Array, alpha: float) -> Array:
    x = cos / np.sqrt(1 - cos**2) / alpha
    shadowing: Array = (erf(x) - 1 + np.exp(-(x**2)) / (x * math.sqrt(math.pi))) / 2
    return shadowing


def beckmann(out: Array, into: Array, half: Array, alpha: float = 0.35) -> Array:
    """Arguments are the cosines of u, w and h."""
    tan2 = 1 / half**2 - 1
    facets = np.exp(-tan2 / alpha**2) / (math.pi * alpha**2 * half**4)
    masking = 1 / (1 + smith(out, alpha) + smith(into, alpha))
    value: Array = facets * masking / (4 * out * into)
    return value


def velvet(out: Array, into: Array, half: Array, inner: Array, sigma: float = 0.6) -> Array:
    """Arguments are the cosines of u, w and h, and u.h."""
    sin2 = 1 - half**2
    facets = np.exp(-(half**2) / sin2 / sigma**2) / (math.pi * sigma**2 * sin2**2)
    masking = np.minimum(1, 2 * half / inner * np.minimum(out, into))
    value: Array = facets * masking / (4 * out * into)
    return value


def rubber(color: Array, terms: tuple[str, ...] = tuple(TERMS)) -> Reflection:
    """The rubber on a horizontal plane, or some of its terms."""

    def reflection(points: Array, lamp: Light) -> Array:
        view = unit(CAMERA - points)[:, None]
        half = unit(view + lamp.directions)
        out, into, middle = view[..., 2], lamp.directions[..., 2], half[..., 2]
        soft, gloss = fresnel(out, 1.4), fresnel(out, 1.2)
        inner = (view * half).sum(axis=-1)
        values: dict[str, Array] = {
            "only diffuse": (1 - gloss) * (1 - soft) / math.pi,
            "only sheen": (1 - gloss) * soft * velvet(out, into, middle, inner),
            "only gloss": gloss * 0.8 * beckmann(out, into, middle),
        }
        tints = {"only diffuse": color, "only sheen": color, "only gloss": np.ones(3)}
        return sum((values[term][..., None] * tints[term] for term in terms), start=np.zeros(3))

    return reflection


def outgoing(points: Array, lamp: Light, reflection: Reflection) -> Array:
    """Radiance of a horizontal plane at ``points`` towards the camera, shape (N, 3)."""
    received = lamp.weights * np.maximum(lamp.directions[..., 2], 0)
    radiance: Array = (reflection(points, lamp) * received[..., None]).sum(axis=1)
    return radiance


def encoded(radiance: Array) -> Array:
    """The sRGB transfer, in levels of 8 bits."""
    x = np.clip(radiance, 0, 1)
    values: Array = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return 255.0 * values


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


# Geometry


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


def centroid(coverage: Array) -> Array:
    weighted = coverage[..., None] * pixel_centres(len(coverage))
    middle: Array = weighted.sum(axis=(0, 1)) / coverage.sum()
    return middle


@pytest.mark.parametrize("pose", range(len(POSES)))
def test_silhouette_is_the_projected_mesh(shots: Shots, pose: int) -> None:
    drawn = shots.radiance(f"pose {pose}")[..., 0]
    expected = polygon_coverage(teapot(POSES[pose]), len(drawn))
    ours, theirs = drawn > 0.5, expected > 0.5
    depth = np.where(theirs, distance_transform_edt(theirs), distance_transform_edt(~theirs))
    wrong = ours != theirs
    assert theirs.sum() > 500
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.985
    assert depth[wrong].max(initial=0) <= 1
    assert drawn.sum() / expected.sum() == pytest.approx(1, abs=0.006)
    assert centroid(drawn) == pytest.approx(centroid(expected), abs=0.03)


def vertex_normals(mesh: Mesh) -> tuple[Array, float]:
    """Mean of the normals of the faces around each vertex, NaN at rims, and the faces' spread.

    The corners' normals are weighted by their angles; the spread is the median angle in degrees
    between the two.
    """
    corners, pairs = [], []
    for face in mesh.faces:
        pairs += [tuple(sorted((face[i - 1], face[i]))) for i in range(len(face))]
        corners += [(face[i - 1], face[i], face[(i + 1) % len(face)]) for i in range(len(face))]
    before, here, after = np.array(corners).T
    back = unit(mesh.vertices[before] - mesh.vertices[here])
    ahead = unit(mesh.vertices[after] - mesh.vertices[here])
    flat = unit(np.cross(ahead, back))
    normals = np.zeros_like(mesh.vertices)
    np.add.at(normals, here, flat * np.arccos((back * ahead).sum(axis=1))[:, None])
    normals = unit(normals)
    spread = np.degrees(np.arccos(np.clip((normals[here] * flat).sum(axis=1), -1, 1)))
    rims = [pair for pair, count in Counter(pairs).items() if count != 2]
    normals[np.ravel(rims)] = np.nan
    return normals, float(np.median(spread))


def test_shading_is_smooth(shots: Shots) -> None:
    """Near a vertex the shading normal is the mean of those of its faces, not one of them."""
    mesh = teapot(POSES[5])
    normals, spread = vertex_normals(mesh)
    inside = shots.radiance("pose 5")[..., 0] > 0.9999
    points = (shots.radiance("points")[inside] - 0.5) * SPAN
    drawn = unit(shots.radiance("normals")[inside] * 2 - 1)
    distances, nearest = KDTree(mesh.vertices).query(points)
    cos = np.abs((drawn * normals[nearest]).sum(axis=1))[distances < 0.04]
    angles = np.degrees(np.arccos(np.clip(cos[np.isfinite(cos)], 0, 1)))
    assert len(angles) > 80
    assert spread > 3
    assert np.median(angles) < 1


def test_every_pixel_shows_the_ground_where_its_ray_meets_it(shots: Shots) -> None:
    points = (shots.radiance("ground") - 0.5) * SPAN
    edge = len(points)
    assert points[..., 2] == pytest.approx(np.full((edge, edge), GROUND), abs=1e-3)
    assert project(points, edge) == pytest.approx(pixel_centres(edge), abs=0.06)


def test_an_edge_is_blurred_by_the_pixel_filter(shots: Shots) -> None:
    drawn = shots.radiance("step")[..., 0]
    places, weights = filter_window(40)
    offsets = np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2)
    ends = [[STEP[2] - STEP[1] * y, y, GROUND] for y in (-5.0, 5.0)]
    (ax, ay), (bx, by) = project(np.array(ends), len(drawn))
    x, y = np.moveaxis(pixel_centres(len(drawn))[..., None, :] + offsets, -1, 0)
    lit = (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0
    expected = lit @ np.outer(weights, weights).ravel()
    soft = (expected > 0.01) & (expected < 0.99)
    assert soft.sum() > 100
    assert rms((drawn - expected)[soft]) < 0.01
    assert np.abs(drawn - expected).max() < 0.04


# Lamps on a diffuse ground


def test_sun_gives_a_diffuse_ground_the_radiance_e_albedo_over_pi(shots: Shots) -> None:
    ratio = shots.radiance("sun alone") / (SUN * np.array(ALBEDO) / math.pi)
    assert ratio == pytest.approx(np.ones(ratio.shape), abs=1e-3)


def test_area_light_obeys_the_configuration_factor(shots: Shots) -> None:
    drawn = shots.radiance("area alone")
    irradiance = area_irradiance(plane_points(len(drawn)))
    expected = square(irradiance[:, None] * np.array(ALBEDO) / math.pi)
    assert drawn.sum() / expected.sum() == pytest.approx(1, abs=1e-3)
    assert np.abs(drawn - expected).max() < 3e-3 * expected.max()
    assert blocks(drawn) / blocks(expected) == pytest.approx(np.ones((8, 8, 3)), abs=0.01)


@pytest.mark.parametrize("number", range(len(SPOTS)))
def test_spotlight_lights_a_smooth_cone(shots: Shots, number: int) -> None:
    """In place, aim, power, colour, and in the soft edge of the disc it shines from."""
    latents, drawn = SPOTS[number], shots.radiance(f"spot {number}")
    points = plane_points(len(drawn))
    expected = square(outgoing(points, spot(points, latents), diffuse) * hue(latents[8], 0.8))
    error = (drawn - expected) / expected.max()
    assert drawn.sum() / expected.sum() == pytest.approx(1, abs=2e-3)
    assert rms(error) < 0.01
    assert np.abs(blocks(error)).max() < 0.01


@pytest.mark.parametrize("number", range(len(SPOTS)))
def test_cone_is_half_as_bright_where_its_blend_says(shots: Shots, number: int) -> None:
    """At 17.06 deg, where cos t = cos 17.5 deg + 0.05 (1 - cos 17.5 deg).

    The disc of radius r and the filter blur that edge evenly, over asin(r / d) = 1.7 deg and a
    pixel. Well within, a point lamp's E = P cos / (4 pi d^2) is left; well outside, nothing.
    """
    latents, drawn = SPOTS[number], shots.radiance(f"spot {number}")
    points, centre = plane_points(len(drawn)), spot_place(latents)
    rays, distances = unit(points - centre), np.linalg.norm(points - centre, axis=1)
    angles = np.degrees(np.arccos(rays @ unit(place(latents) - centre)))
    undimmed = SPOT / (4 * math.pi * distances**2) * -rays[:, 2] / math.pi
    tint = np.array(ALBEDO) * hue(latents[8], 0.8)
    level = (drawn.reshape(-1, 3) / tint).mean(axis=1) / undimmed
    rising = (level > 0.1) & (level < 0.9)
    slope, middle = np.polyfit(level[rising] - 0.5, angles[rising], 1)
    rim = math.cos(SPOT_HALF_ANGLE)
    expected = math.degrees(math.acos(rim + SPOT_BLEND / 2 * (1 - rim)))
    assert slope < 0
    assert middle == pytest.approx(expected, abs=0.15)
    assert level[angles < 13] == pytest.approx(np.ones((angles < 13).sum()), abs=0.005)
    assert level[angles > 22].max() == 0


def cut_fraction(lamp: str, points: Array, height: float) -> Array:
    """Part of a round lamp's disc that is seen past the half-plane x < 0 at a height.

    The plane through the point and the half-plane's edge cuts the disc along a line.
    """
    x, depth = points[:, 0], height - points[:, 2]
    normal = np.stack([depth, 0 * x, x], axis=-1) / np.hypot(x, depth)[:, None]
    if lamp == "sun":
        return disc_fraction(normal[:, 2] / math.sin(SUN_HALF_ANGLE))
    return disc_fraction(((spot_place(CENTRE) - points) * normal).sum(axis=1) / SPOT_RADIUS)


@pytest.mark.parametrize("lamp", LAMPS)
def test_shadow_of_an_edge_is_as_soft_as_the_lamp_is_large(shots: Shots, lamp: str) -> None:
    """And its core is black, for the world gives no light."""
    drawn, height = shots.radiance(f"{lamp} cut"), OCCLUDERS[lamp]
    points = plane_points(len(drawn))
    if lamp == "area":
        behind = -points[:, 0] * (AREA_PLACE[2] - height) / (height - GROUND)
        irradiance = area_irradiance(points, np.clip(behind, -AREA_SIDE / 2, AREA_SIDE / 2))
        expected = irradiance[:, None] * np.array(ALBEDO) / math.pi
    else:
        whole = sun(points) if lamp == "sun" else spot(points, CENTRE)
        tint = hue(0, 0.8) if lamp == "spot" else 1
        fraction = cut_fraction(lamp, points, height)
        expected = fraction[:, None] * outgoing(points, whole, diffuse) * tint
    error = (drawn - square(expected)) / expected.max()
    assert rms(error) < 0.01
    assert np.abs(error.mean(axis=1)).max() < 0.01
    assert np.abs(blocks(error)).max() < 0.012
    umbra = maximum_filter(square(expected), size=(5, 5, 1)) == 0
    assert umbra.mean() > 0.2
    assert not drawn[umbra].any()


# Lamps and the camera


def test_lamps_are_in_no_picture(shots: Shots) -> None:
    """Not even in that of a camera that faces all three, with nothing else to see."""
    assert not shots.radiance("lamps").any()
    assert not shots.image("lamps").any()


@pytest.mark.parametrize("lamp", LAMPS)
def test_lamps_would_show_their_place_size_and_radiance(shots: Shots, lamp: str) -> None:
    """The counterpart: shown to that camera they are the shapes that theory makes them.

    Its focal length is f = edge / (2 tan) pixels. A small sphere at an angle t from the axis
    and of angular radius b covers 2 pi (1 - cos b) f^2 / cos^3 t pixels.
    """
    drawn = shots.radiance(f"{lamp} seen")
    edge = len(drawn)
    focal = edge / 2 / TAN
    far = spot_place(CENTRE)
    off, angle = math.atan(far[1] / far[2]), math.asin(SPOT_RADIUS / np.linalg.norm(far))
    radiance, row, pixels = {
        "sun": (SUN_RADIANCE, 0, math.pi * (focal * math.tan(SUN_HALF_ANGLE)) ** 2),
        "area": (AREA_RADIANCE, 0, (focal * AREA_SIDE / AREA_PLACE[2]) ** 2),
        "spot": (
            SPOT_RADIANCE,
            focal * far[1] / far[2],
            2 * math.pi * (1 - math.cos(angle)) * (focal / math.cos(off)) ** 2 / math.cos(off),
        ),
    }[lamp]
    tint = hue(0, 0.8) if lamp == "spot" else np.ones(3)
    assert drawn.max(axis=(0, 1)) == pytest.approx(radiance * tint, rel=1e-4)
    covered = drawn[..., 0] / radiance
    assert covered.sum() == pytest.approx(pixels, rel=0.015)
    assert centroid(covered) == pytest.approx([edge / 2, edge / 2 + row], abs=0.12)


# Colour management


@pytest.mark.parametrize("name", SHOTS)
def test_image_is_the_rounded_srgb_encoding_of_radiance(shots: Shots, name: str) -> None:
    assert np.abs(encoded(shots.radiance(name)) - shots.image(name)).max() < 0.51


def test_every_level_and_both_ends_were_met(shots: Shots) -> None:
    assert len(np.unique(shots.image("ramp"))) > 250
    assert shots.radiance("ramp").min() < -0.1
    assert shots.radiance("ramp").max() > 1.1


def test_diffuse_ground_has_the_expected_levels(shots: Shots) -> None:
    by_sun = SUN * np.array(ALBEDO) / math.pi
    assert np.abs(shots.image("sun alone") - encoded(by_sun)).max() < 1
    points = plane_points(len(shots.image("area alone")))
    by_area = square(area_irradiance(points)[:, None] * np.array(ALBEDO) / math.pi)
    assert np.abs(shots.image("area alone") - encoded(by_area)).max() < 1


# The rubber


def test_fresnel_weights_of_the_two_mixes(shots: Shots) -> None:
    """The diffuse term leaves (1 - F_1.2) (1 - F_1.4) E C / pi, at 10 to 79 deg of view."""
    drawn = shots.radiance("only diffuse, sun overhead")
    cos = unit(CAMERA - plane_points(len(drawn)))[:, 2]
    weight = (1 - fresnel(cos, 1.2)) * (1 - fresnel(cos, 1.4))
    expected = square(weight[:, None] * SUN * hue(HUES[9], 0.6) / math.pi)
    assert cos.min() < 0.2
    assert cos.max() > 0.98
    assert np.abs(drawn / expected - 1).max() < 0.01
    assert np.abs(blocks(drawn) / blocks(expected) - 1).max() < 1e-3


@pytest.mark.parametrize("surface", ["rubber", *TERMS])
@pytest.mark.parametrize("direction", TILTS)
def test_rubber_under_the_sun(shots: Shots, direction: str, surface: str) -> None:
    """The sun overhead, and 51.6 deg off towards the camera and away from it."""
    drawn = shots.radiance(f"{surface}, sun {direction}")
    reflection = rubber(hue(HUES[9], 0.6), tuple(TERMS) if surface == "rubber" else (surface,))

    def radiance(points: Array) -> Array:
        return outgoing(points, sun(points, TILTS[direction]), reflection)

    expected = blurred(radiance, len(drawn))
    ours, theirs = blocks(drawn), blocks(expected)
    bright = theirs > 0.05 * theirs.max()
    assert drawn.sum() / expected.sum() == pytest.approx(1, abs=0.015)
    assert np.abs(ours / theirs - 1)[bright].max() < 0.01
    assert np.abs(ours - theirs).max() < 0.005 * theirs.max()


@pytest.mark.parametrize("direction", TILTS)
def test_terms_of_the_rubber_add_up(shots: Shots, direction: str) -> None:
    terms = np.sum([shots.radiance(f"{term}, sun {direction}") for term in TERMS], axis=0)
    whole = shots.radiance(f"rubber, sun {direction}")
    assert np.abs(blocks(whole) / blocks(terms) - 1).max() < 0.005


@pytest.mark.parametrize(
    ("name", "height", "color"),
    [
        ("rubber", GROUND, hue(HUES[9], 0.6)),
        ("object", place(HUES)[2], hue(HUES[7], 1.0)),
    ],
    ids=["ground", "object"],
)
def test_rubber_under_all_lamps(shots: Shots, name: str, height: float, color: Array) -> None:
    """The ground, and a plane of the object's material through the object's origin."""
    drawn, reflection = shots.radiance(name), rubber(color)
    points = plane_points(len(drawn), height)
    expected = outgoing(points, spot(points, HUES), reflection) * hue(HUES[8], 0.8)
    for light in (sun(points), area(points)):
        expected += outgoing(points, light, reflection)
    assert drawn.sum() / expected.sum() == pytest.approx(1, abs=2e-3)
    error = np.abs(blocks(drawn) - blocks(square(expected)))
    assert (error < 0.015 * blocks(square(expected)) + 1e-3).all()


# The hues


def regions(shots: Shots) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pixels that show nothing but the ground, and nothing but the object."""
    cover = shots.radiance("mask")[..., 0]
    return cover == 0, cover > 0.9999


@pytest.mark.parametrize("name", ["object", "ground"])
def test_a_surfaces_hue_changes_that_surface_alone(shots: Shots, name: str) -> None:
    """Exactly, for no light bounces from one to the other."""
    ground, thing = regions(shots)
    own, other = (thing, ground) if name == "object" else (ground, thing)
    before, after = shots.radiance("hues"), shots.radiance(f"other {name}")
    assert min(own.sum(), other.sum()) > 100
    assert (before[other] == after[other]).all()
    assert (before[own] != after[own]).any(axis=-1).mean() > 0.98


def test_spotlights_hue_tints_the_spotlights_light_alone(shots: Shots) -> None:
    """Its light scales by the ratio of the colours; all other light stays."""
    by_old, by_new = shots.radiance("hues by spot"), shots.radiance("other spot by spot")
    ratio = hue(OTHER_HUES["spot"][8], 0.8) / hue(HUES[8], 0.8)
    assert (by_old > 0).any()
    assert np.abs(by_new - by_old * ratio).max() < 1e-5 * by_new.max()
    old, new = shots.radiance("hues"), shots.radiance("other spot")
    lit = (by_old > 0).any(axis=-1)
    assert new[~lit].mean(axis=0) == pytest.approx(old[~lit].mean(axis=0), rel=5e-3)
    expected = (old - by_old + by_new)[lit].mean(axis=0)
    assert new[lit].mean(axis=0) == pytest.approx(expected, rel=0.01)
