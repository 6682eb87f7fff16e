"""The constants of the 3DIdent scene, read from ``assets/scene.json``.

Lengths are in Blender units, powers in Blender's watts.
"""

from __future__ import annotations

from functools import cache

from threedident.runtime.packages import asset_path
from threedident.runtime.records import Frozen

Triple = tuple[float, float, float]


class ObjectNumbers(Frozen):
    """Mesh resolution of the teapot, and its fit and size in the scene."""

    segments: int
    fit_scale: float
    fit_turn_deg: float
    fit_lift: float
    scale: float


class GroundNumbers(Frozen):
    """The square plane below the object."""

    size: float


class RubberNumbers(Frozen):
    """The default material of object and ground."""

    ior: float
    roughness: float
    sheen_ior_offset: float
    sheen_roughness: float
    gloss_grey: float


class MetalNumbers(Frozen):
    """The second published material: two glossy coats, of which the second has weight ``mix``."""

    roughnesses: tuple[float, float]
    anisotropy: float
    mix: float


class CameraNumbers(Frozen):
    """A perspective camera with a square sensor; +z is up."""

    location: Triple
    target: Triple
    lens_mm: float
    sensor_mm: float
    clip: tuple[float, float]


class SunNumbers(Frozen):
    """The sun, which shines straight down."""

    strength_w_m2: float
    angle_rad: float
    location: Triple


class AreaNumbers(Frozen):
    """The square lamp above the scene, which faces straight down."""

    power_w: float
    side: float
    location: Triple


class SpotNumbers(Frozen):
    """The spotlight, on a circle at height ``orbit_height`` plus the largest object dimension."""

    power_w: float
    radius: float
    cone_deg: float
    blend: float
    orbit_radius: float
    orbit_height: float


class TintNumbers(Frozen):
    """Saturation and value of a hue factor."""

    saturation: float
    value: float


class HueNumbers(Frozen):
    """Saturation and value of the three colours, which the hue factors do not change."""

    object: TintNumbers
    spotlight: TintNumbers
    background: TintNumbers


class LightPathNumbers(Frozen):
    """Light path limits of Cycles; without bounces, only direct light is rendered."""

    max_bounces: int
    transparent_max_bounces: int
    filter_glossy: float


class FilmNumbers(Frozen):
    """Exposure and the width of the Blackman-Harris pixel filter."""

    exposure: float
    filter_width_px: float


class SceneNumbers(Frozen):
    """All constants of the scene."""

    object: ObjectNumbers
    ground: GroundNumbers
    rubber: RubberNumbers
    metal: MetalNumbers
    camera: CameraNumbers
    sun: SunNumbers
    area: AreaNumbers
    spot: SpotNumbers
    hue: HueNumbers
    light_paths: LightPathNumbers
    film: FilmNumbers


@cache
def scene_numbers() -> SceneNumbers:
    """The constants in ``assets/scene.json``."""
    return SceneNumbers.model_validate_json(asset_path("scene.json").read_text())
