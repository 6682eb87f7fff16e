"""Colour management and hues against theory."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.render.blender.closed_forms import (
    SUN,
    Array,
    Shots,
    area_irradiance,
    hue,
    plane_points,
    square,
)
from tests.render.blender.stage import (
    ALBEDO,
    HUES,
    OTHER_HUES,
    SHOTS,
)

pytestmark = pytest.mark.slow


def encoded(radiance: Array) -> Array:
    """The sRGB transfer, in levels of 8 bits."""
    x = np.clip(radiance, 0, 1)
    values: Array = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return 255.0 * values


def regions(shots: Shots) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Pixels that show nothing but the ground, and nothing but the object."""
    cover = shots.radiance("mask")[..., 0]
    return cover == 0, cover > 0.9999


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
