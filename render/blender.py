"""Draws frames with Blender's Cycles. The only module that imports ``bpy``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
import OpenEXR
from mathutils import Vector
from numpy.typing import NDArray
from PIL import Image

from render.cycles import set_film, set_sampling, write_exr, write_png
from render.layers import Layers
from render.materials import build, build_labels
from render.scene.constants import Triple, scene_numbers
from render.scene.frame import Frame, Material, largest_dimension
from render.scene.projection import object_box
from render.scene.teapot import scene_teapot
from render.settings import GPUS, Quality
from threedident.dataset.annotations import GROUND, OBJECT
from threedident.runtime.machine import memory_file

Image32 = NDArray[np.float32]

_LABELS = Quality(samples=1, denoiser=None)


class Stage:
    """The 3DIdent scene, built once and drawn many times.

    Arguments:
        resolution: edge of the square image in pixels.
        quality: samples, denoiser and layers.
        device: ``cpu`` or one of :func:`available_devices`.
        threads: CPU threads to render with.
        material: of object and ground.
        annotations: whether :meth:`annotate` will be called.
        gpu: which of the device's GPUs to use, by number; None for all.
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
            _choose_gpus(device, gpu)
        self._film = film = Film(resolution, threads, device, memory_file(), _black_world())
        self._teapot, ground = _add_teapot(), _add_ground()
        self._object_color = _add_material(self._teapot, material)
        self._ground_color = _add_material(ground, material)
        self._lamps, self._camera = _add_lamps(), _add_camera()
        self._scene = film.develop(bpy.context.scene, quality, self._camera)
        self._layers = self._labels = None
        if quality.ground is not None:
            self._layers = Layers(film, quality, quality.ground, self._scene, ground)
        if annotations:
            self._labels = _add_label_scene(film, self._teapot, ground, self._camera)

    def draw(self, frame: Frame) -> NDArray[np.uint8]:
        """The image of ``frame``: sRGB, shape (resolution, resolution, 3)."""
        self._teapot.location = frame.object_location
        self._teapot.rotation_euler = frame.object_rotation
        self._object_color.default_value = (*frame.object_color, 1.0)
        self._ground_color.default_value = (*frame.ground_color, 1.0)
        spot = self._lamps["spot"]
        spot.location = frame.spot_location
        spot.rotation_euler = _aim(frame.spot_location, frame.object_location)
        spot.data.color = frame.spot_color
        if self._layers is not None:
            return self._layers.draw(object_box(frame, self._film.edge))
        write_png(self._scene, self._film.file)
        bpy.ops.render.render(write_still=True, scene=self._scene.name)
        with Image.open(self._film.file) as image:
            return np.asarray(image.convert("RGB"))

    def annotate(self) -> tuple[NDArray[np.uint8], Image32]:
        """What every pixel's centre of the frame drawn last shows, and how far that is away.

        Returns:
            Labels of :mod:`threedident.dataset.images`, and distances along the camera's axis in
            Blender units, each of shape (resolution, resolution).
        """
        values = self._film.expose(self._labels)["Combined"]
        return values[..., 0].round().astype(np.uint8), values[..., 1].copy()


@dataclass(frozen=True)
class Film:
    """What all scenes share, and the file that their renders go through."""

    edge: int
    threads: int
    device: str
    file: str
    world: Any

    def new_scene(self, name: str, quality: Quality, camera: Any) -> Any:
        """An empty scene, set up."""
        return self.develop(bpy.data.scenes.new(name), quality, camera)

    def develop(self, scene: Any, quality: Quality, camera: Any) -> Any:
        """Set a scene up."""
        set_film(scene, self.edge, self.threads)
        set_sampling(scene, quality)
        scene.cycles.device = "CPU" if self.device == "cpu" else "GPU"
        scene.cycles.denoising_use_gpu = self.device != "cpu"
        scene.world, scene.camera = self.world, camera
        return scene

    def expose(self, scene: Any) -> dict[str, Image32]:
        """Render a scene; its passes by name, linear."""
        write_exr(scene, self.file)
        bpy.ops.render.render(write_still=True, scene=scene.name)
        prefix = f"{scene.view_layers[0].name}."
        passes = OpenEXR.File(self.file).channels()
        return {name.removeprefix(prefix): passes[name].pixels for name in passes}


def available_devices() -> dict[str, int]:
    """How many devices of each kind Cycles can compute on here, best first, ``cpu`` last."""
    counts = {kind: len(_gpus(kind)) for kind in GPUS}
    return {**{kind: count for kind, count in counts.items() if count}, "cpu": 1}


def _preferences() -> Any:
    return bpy.context.preferences.addons["cycles"].preferences


def _gpus(kind: str) -> list[Any]:
    entries = _preferences().get_devices_for_type(kind.upper())
    return [entry for entry in entries if entry.type == kind.upper()]


def _choose_gpus(device: str, gpu: int | None) -> None:
    """Let Cycles use the GPU of that number, or all."""
    if not _gpus(device):
        raise ValueError(f"--device: expected a {device} device on this machine, found none")
    preferences = _preferences()
    preferences.compute_device_type = device.upper()
    for entry in preferences.get_devices_for_type(device.upper()):
        entry.use = False
    for number, entry in enumerate(_gpus(device)):
        entry.use = gpu in (None, number)


def _black_world() -> Any:
    world = bpy.data.worlds.new("black")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (0.0, 0.0, 0.0, 1.0)
    background.inputs["Strength"].default_value = 0.0
    return world


def _aim(source: Triple, target: Triple) -> Any:
    """Euler angles that turn an object's -z axis from ``source`` towards ``target``, +y up."""
    return (Vector(target) - Vector(source)).to_track_quat("-Z", "Y").to_euler()


def _link(name: str, data: Any) -> Any:
    thing = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def _add_teapot() -> Any:
    mesh, data = scene_teapot(), bpy.data.meshes.new("teapot")
    data.from_pydata(mesh.vertices.tolist(), [], [list(face) for face in mesh.faces])
    data.shade_smooth()
    teapot = _link("teapot", data)
    teapot.scale = (scene_numbers().object.scale,) * 3
    teapot.rotation_mode = "XYZ"
    teapot.pass_index = OBJECT
    return teapot


def _add_ground() -> Any:
    half, data = scene_numbers().ground.size / 2, bpy.data.meshes.new("ground")
    corners = [(-half, -half, 0.0), (half, -half, 0.0), (half, half, 0.0), (-half, half, 0.0)]
    data.from_pydata(corners, [], [[0, 1, 2, 3]])
    ground = _link("ground", data)
    ground.location = (0.0, 0.0, -largest_dimension())
    ground.pass_index = GROUND
    return ground


def _add_material(thing: Any, material: Material) -> Any:
    """Give ``thing`` a material; returns the node socket that holds its colour."""
    made = bpy.data.materials.new(material)
    made.use_nodes = True
    thing.data.materials.append(made)
    return build(made.node_tree, material)


def _add_lamp(kind: str, energy: float, location: Triple) -> Any:
    lamp = bpy.data.lights.new(kind.lower(), kind)
    lamp.energy = energy
    thing = _link(kind.lower(), lamp)
    thing.location = location
    thing.visible_camera = False
    return thing


def _add_lamps() -> dict[str, Any]:
    numbers = scene_numbers()
    sun = _add_lamp("SUN", numbers.sun.strength_w_m2, numbers.sun.location)
    sun.data.angle = numbers.sun.angle_rad
    area = _add_lamp("AREA", numbers.area.power_w, numbers.area.location)
    area.data.shape, area.data.size = "SQUARE", numbers.area.side
    area.data.spread = math.pi
    spot = _add_lamp("SPOT", numbers.spot.power_w, (0.0, 0.0, 0.0))
    spot.data.shadow_soft_size = numbers.spot.radius
    spot.data.spot_size = math.radians(numbers.spot.cone_deg)
    spot.data.spot_blend = numbers.spot.blend
    return {"sun": sun, "area": area, "spot": spot}


def _add_camera() -> Any:
    numbers, data = scene_numbers().camera, bpy.data.cameras.new("camera")
    data.lens, data.sensor_width = numbers.lens_mm, numbers.sensor_mm
    data.clip_start, data.clip_end = numbers.clip
    camera = _link("camera", data)
    camera.location = numbers.location
    camera.rotation_euler = _aim(numbers.location, numbers.target)
    return camera


def _add_label_scene(film: Film, *things: Any) -> Any:
    """A scene of the same things, whose pixels' centres hold their index and depth."""
    scene = film.new_scene("labels", _LABELS, things[-1])
    scene.cycles.filter_width = 0.01
    for thing in things:
        scene.collection.objects.link(thing)
    material = bpy.data.materials.new("labels")
    material.use_nodes = True
    build_labels(material.node_tree)
    scene.view_layers[0].material_override = material
    return scene
