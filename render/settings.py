"""Settings of a render: quality presets, devices, and the fingerprint of all settings."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Literal

from render.libraries import missing_packages
from render.scene.frame import HueMode, Material
from threedident.runtime.packages import asset_path
from threedident.storage.manifest import Annotation, Rendering

REVISION = 2  # increase it whenever a change of this package's code changes pixels
GPUS = ("optix", "cuda", "hip", "oneapi", "metal")
DEVICES = ("auto", "cpu", *GPUS)
BLENDERS = {(3, 11): "4.5", (3, 13): "5.2"}  # Blender LTS whose module each Python can load


@dataclass(frozen=True, kw_only=True)
class GroundSamples:
    """Samples per pixel for the ground under each lamp, if the ground is rendered as a layer."""

    sun: int
    area: int
    spot: int


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A Cycles quality preset.

    Arguments:
        samples: samples per pixel; of the object only, if the ground is a layer.
        denoiser: preset of OpenImageDenoise, or None for no denoiser.
        prefilter: filter of the denoiser's auxiliary images.
        ground: samples of the ground if it is rendered as a layer, see
            :mod:`render.blender.layers`; None if one render shows everything.
        seed: seed of Cycles' sampling pattern.
    """

    samples: int
    denoiser: Literal["FAST", "BALANCED", "HIGH"] | None
    prefilter: Literal["NONE", "FAST", "ACCURATE"] = "NONE"
    ground: GroundSamples | None = None
    seed: int = 0


QUALITIES: dict[str, Quality] = {
    "paper": Quality(samples=512, denoiser="HIGH"),
    "standard": Quality(samples=24, denoiser="HIGH", ground=GroundSamples(sun=4, area=1, spot=4)),
    "draft": Quality(samples=2, denoiser="FAST", prefilter="FAST"),
}

YARDSTICKS: dict[str, Quality] = {
    "reference": Quality(samples=4096, denoiser=None, seed=1),
    "paper-again": Quality(samples=512, denoiser="HIGH", seed=1),
}


def find_quality(name: str) -> Quality:
    """The preset of that name, including those used as references in measurements."""
    return {**QUALITIES, **YARDSTICKS}[name]


def require_blender() -> str:
    """The version of Blender's Python module.

    Raises:
        ValueError: the module or a shared library that it needs is not installed.
    """
    if importlib.util.find_spec("bpy") is None:
        raise ValueError(_without_blender(sys.version_info[:2]))
    missing = missing_packages()
    if missing:
        raise ValueError(
            f"bpy: expected the shared libraries that Blender loads, found {len(missing)} "
            f"missing; install them with apt-get install {' '.join(missing)}"
        )
    return version("bpy")


def _without_blender(python: tuple[int, int]) -> str:
    built = platform.machine() != "aarch64" and (
        python != (3, 13) or sys.platform != "darwin" or platform.machine() == "arm64"
    )
    if python in BLENDERS and not built:
        return (
            f"bpy: expected a processor for which Blender {BLENDERS[python]} exists as a module, "
            f"found {platform.machine()}; render on another machine, and do the rest here"
        )
    if python in BLENDERS:
        return (
            "bpy: expected Blender's Python module, found none; install it with pip install "
            f"'bpy=={BLENDERS[python]}.*'"
        )
    fitting = " or ".join(f"{major}.{minor}" for major, minor in BLENDERS)
    return (
        f"bpy: expected Python {fitting}, for which Blender's module exists, found "
        f"{python[0]}.{python[1]}; render with one of them, and do the rest with any Python"
    )


def rendering(
    resolution: int,
    quality: str,
    device: str,
    *,
    hue_mode: HueMode = "wrapped",
    material: Material = "rubber",
    annotations: tuple[Annotation, ...] = (),
) -> Rendering:
    """The settings in the form that manifests record, for an available device.

    Raises:
        ValueError: Blender's module or a shared library that it needs is not installed.
    """
    blender = require_blender()
    scene = {name: asset_path(name).read_text() for name in ("scene.json", "teapot.json")}
    preset = asdict(find_quality(quality))
    where = [device] if device == "cpu" else [device, "denoised there"]
    identity = json.dumps([REVISION, blender, *where, preset, scene], sort_keys=True)
    return Rendering(
        resolution=resolution,
        quality=quality,
        hue_mode=hue_mode,
        material=material,
        annotations=annotations,
        device=device,
        blender=blender,
        fingerprint=hashlib.sha256(identity.encode()).hexdigest()[:16],
    )
