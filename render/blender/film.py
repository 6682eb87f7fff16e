"""Render settings of Cycles: image, sampling, device and output file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
import OpenEXR
from numpy.typing import NDArray

from render.scene.constants import scene_numbers
from render.settings import GPUS, Quality

Image32 = NDArray[np.float32]


def set_film(scene: Any, edge: int, threads: int) -> None:
    """Set up a square image of ``edge`` pixels with the published colour management."""
    render = scene.render
    render.engine = "CYCLES"
    render.resolution_x = render.resolution_y = edge
    render.resolution_percentage = 100
    render.film_transparent = False
    render.dither_intensity = 0.0
    render.use_persistent_data = True
    render.use_compositing = render.use_sequencer = False
    render.use_file_extension = False
    render.threads_mode = "FIXED"
    render.threads = threads
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform = "Standard"
    scene.view_settings.look = "None"
    scene.view_settings.exposure = 0.0
    scene.view_settings.gamma = 1.0


def set_sampling(scene: Any, quality: Quality) -> None:
    """Set samples, denoiser, pixel filter and light paths."""
    numbers, cycles = scene_numbers(), scene.cycles
    cycles.samples = quality.samples
    cycles.seed = quality.seed
    cycles.use_adaptive_sampling = False
    cycles.use_denoising = quality.denoiser is not None
    cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    cycles.denoising_prefilter = quality.prefilter
    if quality.denoiser is not None:
        cycles.denoising_quality = quality.denoiser
    cycles.film_exposure = numbers.film.exposure
    cycles.pixel_filter_type = "BLACKMAN_HARRIS"
    cycles.filter_width = numbers.film.filter_width_px
    paths = numbers.light_paths
    cycles.max_bounces = paths.max_bounces
    cycles.diffuse_bounces = cycles.glossy_bounces = paths.max_bounces
    cycles.transmission_bounces = cycles.volume_bounces = paths.max_bounces
    cycles.transparent_max_bounces = paths.transparent_max_bounces
    cycles.blur_glossy = paths.filter_glossy
    cycles.sample_clamp_direct = cycles.sample_clamp_indirect = 0.0


def set_png_output(scene: Any, path: str) -> None:
    """Make renders write a PNG file of 8-bit sRGB."""
    settings = scene.render.image_settings
    set_format(settings, "PNG", "IMAGE")
    settings.color_mode, settings.color_depth, settings.compression = "RGB", "8", 0
    scene.render.filepath = path


def set_exr_output(scene: Any, path: str) -> None:
    """Make renders write an EXR file of linear float32, with each pass separate."""
    settings = scene.render.image_settings
    set_format(settings, "OPEN_EXR_MULTILAYER", "MULTI_LAYER_IMAGE")
    settings.color_mode, settings.color_depth, settings.exr_codec = "RGBA", "32", "NONE"
    scene.render.filepath = path


def set_format(settings: Any, file_format: str, media_type: str) -> None:
    """Set the format of files. Blender 5 wants the kind of media first."""
    if hasattr(settings, "media_type"):
        settings.media_type = media_type
    settings.file_format = file_format


@dataclass(frozen=True)
class Film:
    """Settings that all scenes share, and the file that their renders are written to."""

    edge: int
    threads: int
    device: str
    gpu: int | None
    file: str
    world: Any

    def new_scene(self, name: str, quality: Quality, camera: Any) -> Any:
        """A new empty scene with these settings."""
        return self.develop(bpy.data.scenes.new(name), quality, camera)

    def develop(self, scene: Any, quality: Quality, camera: Any) -> Any:
        """Apply these settings to a scene, and return it."""
        set_film(scene, self.edge, self.threads)
        set_sampling(scene, quality)
        scene.cycles.device = "CPU" if self.device == "cpu" else "GPU"
        scene.cycles.denoising_use_gpu = self.device != "cpu"
        scene.world, scene.camera = self.world, camera
        return scene

    def expose(self, scene: Any) -> dict[str, Image32]:
        """Render a scene, and return its linear passes by name."""
        set_exr_output(scene, self.file)
        bpy.ops.render.render(write_still=True, scene=scene.name)
        prefix = f"{scene.view_layers[0].name}."
        file = OpenEXR.File(self.file)  # Blender 4 writes all passes as one part, 5 a part each
        parts = [file.channels(part) for part in range(len(file.parts))]
        return {
            name.removeprefix(prefix): passes[name].pixels for passes in parts for name in passes
        }


def available_devices() -> dict[str, int]:
    """Number of devices of each kind that Cycles can use here, best kind first, ``cpu`` last."""
    counts = {kind: len(_gpus(kind)) for kind in GPUS}
    return {**{kind: count for kind, count in counts.items() if count}, "cpu": 1}


def _preferences() -> Any:
    return bpy.context.preferences.addons["cycles"].preferences


def _gpus(kind: str) -> list[Any]:
    entries = _preferences().get_devices_for_type(kind.upper())
    return [entry for entry in entries if entry.type == kind.upper()]


def choose_gpus(device: str, gpu: int | None) -> None:
    """Make Cycles use one GPU by number, or all GPUs if ``gpu`` is None.

    Raises:
        ValueError: this machine has no such device.
    """
    if not _gpus(device):
        raise ValueError(f"--device: expected a {device} device on this machine, found none")
    preferences = _preferences()
    preferences.compute_device_type = device.upper()
    for entry in preferences.get_devices_for_type(device.upper()):
        entry.use = False
    for number, entry in enumerate(_gpus(device)):
        entry.use = gpu in (None, number)
