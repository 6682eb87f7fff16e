"""Settings of a Blender scene that Cycles draws; the scene is given, so no Blender is imported."""

from __future__ import annotations

from typing import Any

from render.scene.constants import scene_numbers
from render.settings import Quality


def set_film(scene: Any, edge: int, threads: int) -> None:
    """A square image of ``edge`` pixels under the published colour management."""
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
    """Samples, denoiser, pixel filter and light paths."""
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


def write_png(scene: Any, path: str) -> None:
    """Let renders end as 8-bit sRGB."""
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "PNG", "RGB", "8"
    settings.compression = 0
    scene.render.filepath = path


def write_exr(scene: Any, path: str) -> None:
    """Let renders end as linear float32, every pass by itself."""
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode = "OPEN_EXR_MULTILAYER", "RGBA"
    settings.color_depth, settings.exr_codec = "32", "NONE"
    scene.render.filepath = path
