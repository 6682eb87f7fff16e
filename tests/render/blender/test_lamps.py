"""Lamps on a diffuse ground, and before the camera, against theory."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import maximum_filter

from tests.render.blender.closed_forms import (
    AREA_PLACE,
    AREA_RADIANCE,
    AREA_SIDE,
    GROUND,
    SPOT,
    SPOT_BLEND,
    SPOT_HALF_ANGLE,
    SPOT_RADIANCE,
    SPOT_RADIUS,
    SUN,
    SUN_HALF_ANGLE,
    SUN_RADIANCE,
    TAN,
    Array,
    Shots,
    area_irradiance,
    blocks,
    centroid,
    diffuse,
    hue,
    outgoing,
    place,
    plane_points,
    rms,
    spot,
    spot_place,
    square,
    sun,
    unit,
)
from tests.render.blender.stage import (
    ALBEDO,
    CENTRE,
    LAMPS,
    OCCLUDERS,
    SPOTS,
)

pytestmark = pytest.mark.slow


def disc_fraction(u: Array) -> Array:
    """Part of a unit disc on one side of a line at a signed distance u from its centre."""
    u = np.clip(u, -1, 1)
    fraction: Array = 0.5 + (u * np.sqrt(1 - u**2) + np.arcsin(u)) / math.pi
    return fraction


def cut_fraction(lamp: str, points: Array, height: float) -> Array:
    """Part of a round lamp's disc that is seen past the half-plane x < 0 at a height.

    The plane through the point and the half-plane's edge cuts the disc along a line.
    """
    x, depth = points[:, 0], height - points[:, 2]
    normal = np.stack([depth, 0 * x, x], axis=-1) / np.hypot(x, depth)[:, None]
    if lamp == "sun":
        return disc_fraction(normal[:, 2] / math.sin(SUN_HALF_ANGLE))
    return disc_fraction(((spot_place(CENTRE) - points) * normal).sum(axis=1) / SPOT_RADIUS)


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
