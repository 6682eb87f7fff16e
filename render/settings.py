"""What a render is asked for: quality presets, devices, and the fingerprint of both."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version

from render.libraries import missing_packages
from render.scene import HueMode
from threedident.assets import asset_path
from threedident.manifest import Rendering

REVISION = 1  # raise it whenever a change of this package's code changes pixels


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A Cycles quality preset.

    Arguments:
        samples: samples per pixel.
        denoiser_quality: OpenImageDenoise's own preset, ``HIGH`` or ``FAST``.
    """

    samples: int
    denoiser_quality: str


QUALITIES: dict[str, Quality] = {
    "paper": Quality(samples=512, denoiser_quality="HIGH"),
    "standard": Quality(samples=8, denoiser_quality="HIGH"),
    "draft": Quality(samples=2, denoiser_quality="FAST"),
}

GPUS = ("optix", "cuda", "hip", "oneapi", "metal")
DEVICES = ("auto", "cpu", *GPUS)


def require_blender() -> str:
    """The version of Blender's module.

    Raises:
        ValueError: the module or a shared library that it needs is not installed.
    """
    if importlib.util.find_spec("bpy") is None:
        raise ValueError(
            "bpy: expected Blender's Python module, found none; install it under Python 3.11 "
            "with pip install 'bpy==4.5.*'"
        )
    missing = missing_packages()
    if missing:
        raise ValueError(
            f"bpy: expected the shared libraries that Blender loads, found {len(missing)} "
            f"missing; install them with apt-get install {' '.join(missing)}"
        )
    return version("bpy")


def rendering(resolution: int, quality: str, hue_mode: HueMode, device: str) -> Rendering:
    """The settings as manifests record them, for a device that is there."""
    blender = require_blender()
    scene = {name: asset_path(name).read_text() for name in ("scene.json", "teapot.json")}
    preset = asdict(QUALITIES[quality])
    identity = json.dumps([REVISION, blender, device, preset, scene], sort_keys=True)
    return Rendering(
        resolution=resolution,
        quality=quality,
        hue_mode=hue_mode,
        device=device,
        blender=blender,
        fingerprint=hashlib.sha256(identity.encode()).hexdigest()[:16],
    )
