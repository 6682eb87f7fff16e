"""The stage: the 3DIdent scene, built once in Blender and rendered many times."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from render.blender.film import Film, Image32, choose_gpus, set_png_output
from render.blender.layers import Layers
from render.blender.objects import (
    add_camera,
    add_ground,
    add_label_scene,
    add_lamps,
    add_material,
    add_teapot,
    aim,
    black_world,
)
from render.scene.frame import Frame, Material
from render.scene.projection import object_box
from render.settings import Quality
from threedident.runtime.machine import memory_file


class Stage:
    """The 3DIdent scene, built once and rendered many times.

    Arguments:
        resolution: edge of the square image in pixels.
        quality: samples, denoiser and layers.
        device: ``cpu`` or one of :func:`~render.blender.film.available_devices`.
        threads: CPU threads to render with.
        material: material of object and ground.
        annotations: True if :meth:`annotate` will be called.
        gpu: number of the GPU to use; None for all.
    """

    def __init__(
        self,
        resolution: int,
        quality: Quality,
        device: str,
        threads: int,
        *,
        material: Material = "rubber",
        annotations: bool = False,
        gpu: int | None = None,
    ) -> None:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        if device != "cpu":
            choose_gpus(device, gpu)
        self._film = film = Film(resolution, threads, device, gpu, memory_file(), black_world())
        self._teapot, ground = add_teapot(), add_ground()
        self._object_color = add_material(self._teapot, material)
        self._ground_color = add_material(ground, material)
        self._lamps, self._camera = add_lamps(), add_camera()
        self._scene = film.develop(bpy.context.scene, quality, self._camera)
        self._layers = self._labels = None
        if quality.ground is not None:
            self._layers = Layers(film, quality, quality.ground, self._scene, ground)
        if annotations:
            self._labels = add_label_scene(film, self._teapot, ground, self._camera)

    def draw(self, frame: Frame) -> NDArray[np.uint8]:
        """The image of ``frame``, 8-bit sRGB, shape (resolution, resolution, 3)."""
        self._teapot.location = frame.object_location
        self._teapot.rotation_euler = frame.object_rotation
        self._object_color.default_value = (*frame.object_color, 1.0)
        self._ground_color.default_value = (*frame.ground_color, 1.0)
        spot = self._lamps["spot"]
        spot.location = frame.spot_location
        spot.rotation_euler = aim(frame.spot_location, frame.object_location)
        spot.data.color = frame.spot_color
        if self._layers is not None:
            return self._layers.draw(object_box(frame, self._film.edge))
        set_png_output(self._scene, self._film.file)
        bpy.ops.render.render(write_still=True, scene=self._scene.name)
        with Image.open(self._film.file) as image:
            return np.asarray(image.convert("RGB"))

    def annotate(self) -> tuple[NDArray[np.uint8], Image32]:
        """Labels and distances at the pixel centres of the last frame drawn.

        Returns:
            Labels, see :mod:`threedident.dataset.annotations`, and distances along the camera's
            axis in Blender units, each of shape (resolution, resolution).
        """
        values = self._film.expose(self._labels)["Combined"]
        return values[..., 0].round().astype(np.uint8), values[..., 1].copy()
