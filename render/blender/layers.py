"""A frame as two layers: the ground, drawn coarsely light by light, and the object over it.

Only direct light is drawn, so light adds up: the ground under all lamps is the sum of the ground
under each, and every lamp gets as many samples as it needs. The ground has no edges, only soft
shadows, so :func:`ground_edge` pixels hold it. Most of the noise that an eye or a PSNR sees lies
on the object's outline, so most samples go to the box around it. Both layers are exact in
expectation, since the object always stands above the ground.
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

_LEAST_GROUND = 112  # below, shadows are too sharp in pixels to be drawn at half the resolution
_INSIDE = 1e-4  # pixels by which a border lies past the line between two


class Layers:
    """The ground in a scene for each lamp, and the object alone in the main scene.

    Arguments:
        film: how scenes are set up and rendered.
        quality: of the object, and of the denoiser.
        ground: samples of the ground under each lamp.
        scene: the main scene, with all things in it; it loses the ground.
        plane: the ground.
    """

    def __init__(
        self, film: Film, quality: Quality, ground: GroundSamples, scene: Any, plane: Any
    ) -> None:
        assert quality.denoiser is not None
        self._film, self._scene = film, scene
        self._denoise = Denoiser(film.threads, quality.denoiser)
        things = scene.collection.objects
        self._teapot = things["teapot"]
        self._shadow = self._teapot.copy()
        self._shadow.visible_camera = False
        small = replace(film, edge=ground_edge(film.edge))
        self._grounds = []
        for number, (lamp, samples) in enumerate(vars(ground).items()):
            each = replace(quality, samples=samples, denoiser=None, seed=3 * quality.seed + number)
            made = small.new_scene(f"ground-{lamp}", each, scene.camera)
            made.cycles.filter_width *= small.edge / film.edge  # the same part of the image
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
        """The image of the scene as it stands, whose object lies in ``box``; 8-bit sRGB."""
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
        render.border_min_y = (edge - box.bottom + _INSIDE) / edge  # Blender counts from below
        render.border_max_y = (edge - box.top + _INSIDE) / edge
        passes = self._film.expose(self._scene)
        normal = np.stack([passes[f"Denoising Normal.{axis}"] for axis in "XYZ"], axis=-1)
        return self._denoise(over(passes["Combined"], ground), passes["Denoising Albedo"], normal)


def ground_edge(edge: int) -> int:
    """The resolution at which the ground of an image of ``edge`` pixels is drawn."""
    return min(edge, max(_LEAST_GROUND, edge // 2))


def enlarge(ground: Image32, edge: int) -> Image32:
    """A ground of any resolution at ``edge`` pixels, by Lanczos interpolation."""
    if len(ground) == edge:
        return ground
    channels = [Image.fromarray(np.ascontiguousarray(c)) for c in np.moveaxis(ground, -1, 0)]
    sized = [channel.resize((edge, edge), Image.Resampling.LANCZOS) for channel in channels]
    return np.stack([np.asarray(channel) for channel in sized], axis=-1)


def over(layer: Image32, ground: Image32) -> Image32:
    """A layer of premultiplied colour and alpha, shape (H, W, 4), over a ground (H, W, 3)."""
    return np.asarray(layer[..., :3] + (1 - np.clip(layer[..., 3:], 0, 1)) * ground)


def encode(linear: Image32) -> NDArray[np.uint8]:
    """Linear radiance as 8-bit sRGB, as Blender's Standard view transform does."""
    x = np.clip(linear, 0, 1)
    curve = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(x, 1 / 2.4) - 0.055)
    return np.asarray(curve * 255 + 0.5).astype(np.uint8)
