"""The rubber under the sun and under all lamps against theory."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.special import erf

from tests.render.blender.closed_forms import (
    CAMERA,
    GROUND,
    SUN,
    Array,
    Light,
    Reflection,
    Shots,
    area,
    blocks,
    filter_window,
    hue,
    outgoing,
    place,
    plane_points,
    spot,
    square,
    sun,
    unit,
)
from tests.render.blender.stage import (
    HUES,
    TERMS,
    TILTS,
)

pytestmark = pytest.mark.slow


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
