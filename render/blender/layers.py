"""Rendering in two layers: the ground at low resolution, one lamp at a time, and the object.

Only direct light is rendered, so the image of the ground under all lamps is the sum of its images
under each lamp. Each lamp then gets as many samples as it needs. The ground has no edges, only
soft shadows, so the resolution :func:`ground_edge` is sufficient. Most visible noise, also in
terms of PSNR, lies on the outline of the object. Most samples are therefore spent on the box
around it. Both layers are exact in expectation, because the object is always above the ground.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from render.blender.denoise import Denoiser
from render.blender.film import Film, Image32
from render.scene.projection import PixelBox
from render.settings import GroundSamples, Quality

_LEAST_GROUND = 112  # pixels; below, shadows are too sharp to render at half the resolution
_INSIDE = 1e-4  # pixels by which a border lies beyond the boundary of two pixels


class Layers:
    """One scene of the ground for each lamp, and the main scene with only the object.

    Arguments:
        film: settings that all scenes share.
        quality: preset for the object and the denoiser.
        ground: samples of the ground under each lamp.
        scene: the main scene with all objects; the ground is removed from it.
        plane: the ground.
    """

    def __init__(
        self, film: Film, quality: Quality, ground: GroundSamples, scene: Any, plane: Any
    ) -> None:
        assert quality.denoiser is not None
        self._film, self._scene = film, scene
        self._denoise = Denoiser(film.threads, quality.denoiser, film.device, film.gpu)
        things = scene.collection.objects
        self._teapot = things["teapot"]
        self._shadow = self._teapot.copy()
        self._shadow.visible_camera = False
        small = replace(film, edge=ground_edge(film.edge))
        self._grounds = []
        for number, (lamp, samples) in enumerate(vars(ground).items()):
            each = replace(quality, samples=samples, denoiser=None, seed=3 * quality.seed + number)
            made = small.new_scene(f"ground-{lamp}", each, scene.camera)
            made.cycles.filter_width *= small.edge / film.edge  # the same share of the image
            made.cycles.use_light_tree = False
            for thing in (self._shadow, plane, things[lamp], scene.camera):
                made.collection.objects.link(thing)
            self._grounds.append(made)
        things.unlink(plane)
        scene.cycles.use_denoising = False
        scene.render.film_transparent = True
        scene.render.use_border = scene.render.use_crop_to_border = True
        scene.view_layers[0].cycles.denoising_store_passes = True

    def draw(self, box: PixelBox) -> NDArray[np.uint8]:
        """The current image of the scene, 8-bit sRGB, shape (edge, edge, 3).

        Arguments:
            box: pixels that the object can cover.
        """
        self._shadow.location = self._teapot.location
        self._shadow.rotation_euler = self._teapot.rotation_euler
        lights = [self._film.expose(scene)["Combined"][..., :3] for scene in self._grounds]
        image = enlarge(self._denoise(np.sum(lights, axis=0)), self._film.edge)
        if not box.is_empty:
            rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)
            image[rows, columns] = self._draw_object(box, image[rows, columns])
        return encode(image)

    def _draw_object(self, box: PixelBox, ground: Image32) -> Image32:
        edge, render = self._film.edge, self._scene.render
        render.border_min_x = (box.left + _INSIDE) / edge
        render.border_max_x = (box.right + _INSIDE) / edge
        render.border_min_y = (edge - box.bottom + _INSIDE) / edge  # Blender counts upwards
        render.border_max_y = (edge - box.top + _INSIDE) / edge
        passes = self._film.expose(self._scene)
        normal = np.stack([passes[f"Denoising Normal.{axis}"] for axis in "XYZ"], axis=-1)
        return self._denoise(over(passes["Combined"], ground), passes["Denoising Albedo"], normal)


def ground_edge(edge: int) -> int:
    """Resolution at which the ground of an image of ``edge`` pixels is rendered."""
    return min(edge, max(_LEAST_GROUND, edge // 2))


def enlarge(ground: Image32, edge: int) -> Image32:
    """The ground enlarged to ``edge`` pixels by Lanczos interpolation."""
    if len(ground) == edge:
        return ground
    channels = [Image.fromarray(np.ascontiguousarray(c)) for c in np.moveaxis(ground, -1, 0)]
    sized = [channel.resize((edge, edge), Image.Resampling.LANCZOS) for channel in channels]
    return np.stack([np.asarray(channel) for channel in sized], axis=-1)


def over(layer: Image32, ground: Image32) -> Image32:
    """A layer of premultiplied colour and alpha, shape (H, W, 4), over a ground (H, W, 3)."""
    return np.asarray(layer[..., :3] + (1 - np.clip(layer[..., 3:], 0, 1)) * ground)


def encode(linear: Image32) -> NDArray[np.uint8]:
    """Linear radiance as 8-bit sRGB, equal to Blender's Standard view transform."""
    x = np.clip(linear, 0, 1)
    curve = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(x, 1 / 2.4) - 0.055)
    return np.asarray(curve * 255 + 0.5).astype(np.uint8)
