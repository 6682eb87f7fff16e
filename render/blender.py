"""Draws frames with Blender's Cycles. The only module that imports ``bpy``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray
from PIL import Image

from render.numbers import Triple, scene_numbers
from render.scene import Frame, largest_dimension
from render.settings import GPUS, Quality
from render.teapot import scene_teapot

DOWN: Triple = (0.0, 0.0, -1.0)


class Stage:
    """A Cycles scene, built once and drawn many times.

    Arguments:
        resolution: edge of the square image in pixels.
        quality: samples and denoiser.
        device: ``cpu`` or one of :func:`available_devices`.
        threads: CPU threads to render with.
        scratch: folder for Blender's own image files, emptied by the caller.
    """

    def __init__(
        self, resolution: int, quality: Quality, device: str, threads: int, scratch: Path
    ) -> None:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self._scene = bpy.context.scene
        self._file = scratch / "frame.png"
        _set_output(self._scene, resolution, threads)
        _set_cycles(self._scene, quality)
        _set_device(self._scene, device)
        self._teapot = _add_teapot()
        ground = _add_ground()
        self._object_color = _add_rubber(self._teapot)
        self._ground_color = _add_rubber(ground)
        self._spot = _add_lights()
        self._scene.camera = _add_camera()

    def draw(self, frame: Frame) -> NDArray[np.uint8]:
        """The image of ``frame``: sRGB, shape (resolution, resolution, 3)."""
        self._teapot.location = frame.object_location
        self._teapot.rotation_euler = frame.object_rotation
        self._object_color.default_value = (*frame.object_color, 1.0)
        self._ground_color.default_value = (*frame.ground_color, 1.0)
        self._spot.location = frame.spot_location
        self._spot.rotation_euler = _aim(frame.spot_location, frame.object_location)
        self._spot.data.color = frame.spot_color
        self._scene.render.filepath = str(self._file)
        bpy.ops.render.render(write_still=True)
        with Image.open(self._file) as image:
            return np.asarray(image.convert("RGB"))


def _aim(source: Triple, target: Triple) -> Any:
    """Euler angles that turn an object's -z axis from ``source`` towards ``target``, +y up."""
    return (Vector(target) - Vector(source)).to_track_quat("-Z", "Y").to_euler()


def _set_output(scene: Any, resolution: int, threads: int) -> None:
    render = scene.render
    render.engine = "CYCLES"
    render.resolution_x = render.resolution_y = resolution
    render.resolution_percentage = 100
    render.film_transparent = False
    render.dither_intensity = 0.0
    render.use_persistent_data = True
    render.threads_mode = "FIXED"
    render.threads = threads
    render.image_settings.file_format = "PNG"
    render.image_settings.color_mode = "RGB"
    render.image_settings.color_depth = "8"
    render.image_settings.compression = 0
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform = "Standard"
    scene.view_settings.look = "None"
    scene.view_settings.exposure = 0.0
    scene.view_settings.gamma = 1.0
    scene.world = bpy.data.worlds.new("black")
    scene.world.use_nodes = True
    background = scene.world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (0.0, 0.0, 0.0, 1.0)
    background.inputs["Strength"].default_value = 0.0


def _set_cycles(scene: Any, quality: Quality) -> None:
    numbers, cycles = scene_numbers(), scene.cycles
    cycles.samples = quality.samples
    cycles.seed = 0
    cycles.use_adaptive_sampling = False
    cycles.use_denoising = True
    cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    cycles.denoising_prefilter = "NONE"
    cycles.denoising_quality = quality.denoiser_quality
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


def available_devices() -> list[str]:
    """Devices that Cycles can compute on here, best first, ``cpu`` last."""
    preferences = _preferences()
    found = [kind for kind in GPUS if preferences.get_devices_for_type(kind.upper())]
    return [*found, "cpu"]


def _preferences() -> Any:
    return bpy.context.preferences.addons["cycles"].preferences


def _set_device(scene: Any, device: str) -> None:
    """Compute on ``device``; of several GPUs Cycles uses all."""
    scene.cycles.device = "CPU" if device == "cpu" else "GPU"
    scene.cycles.denoising_use_gpu = device != "cpu"
    if device != "cpu":
        preferences = _preferences()
        preferences.compute_device_type = device.upper()
        for entry in preferences.get_devices_for_type(device.upper()):
            entry.use = entry.type == device.upper()


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
    return teapot


def _add_ground() -> Any:
    half, data = scene_numbers().ground.size / 2, bpy.data.meshes.new("ground")
    corners = [(-half, -half, 0.0), (half, -half, 0.0), (half, half, 0.0), (-half, half, 0.0)]
    data.from_pydata(corners, [], [[0, 1, 2, 3]])
    ground = _link("ground", data)
    ground.location = (0.0, 0.0, -largest_dimension())
    return ground


def _add_rubber(thing: Any) -> Any:
    """Give ``thing`` the rubber material; returns the node socket that holds its colour."""
    numbers, material = scene_numbers().material, bpy.data.materials.new("rubber")
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()

    def node(kind: str, **inputs: Any) -> Any:
        made = tree.nodes.new(kind)
        for name, value in inputs.items():
            socket = made.inputs[name.replace("_", " ")]
            if isinstance(value, bpy.types.NodeSocket):
                tree.links.new(value, socket)
            else:
                socket.default_value = value
        return made

    def mix(first: Any, second: Any, ior: float) -> Any:
        mixed = node("ShaderNodeMixShader", Fac=node("ShaderNodeFresnel", IOR=ior).outputs[0])
        tree.links.new(first.outputs[0], mixed.inputs[1])
        tree.links.new(second.outputs[0], mixed.inputs[2])
        return mixed

    color = node("ShaderNodeRGB").outputs[0]
    grey = (numbers.gloss_grey,) * 3 + (1.0,)
    diffuse = node("ShaderNodeBsdfDiffuse", Color=color)
    sheen = node("ShaderNodeBsdfSheen", Color=color, Roughness=numbers.sheen_roughness)
    sheen.distribution = "ASHIKHMIN"
    roughness = math.sqrt(numbers.roughness)
    gloss = node("ShaderNodeBsdfAnisotropic", Color=grey, Roughness=roughness)
    gloss.distribution = "BECKMANN"
    soft = mix(diffuse, sheen, numbers.ior + numbers.sheen_ior_offset)
    surface = mix(soft, gloss, numbers.ior).outputs[0]
    node("ShaderNodeOutputMaterial", Surface=surface)
    thing.data.materials.append(material)
    return color


def _add_lamp(kind: str, energy: float, location: Triple) -> Any:
    lamp = bpy.data.lights.new(kind.lower(), kind)
    lamp.energy = energy
    thing = _link(kind.lower(), lamp)
    thing.location = location
    thing.visible_camera = False
    return thing


def _add_lights() -> Any:
    """Sun, area light and spotlight; returns the spotlight."""
    numbers = scene_numbers()
    sun = _add_lamp("SUN", numbers.sun.strength_w_m2, numbers.sun.location)
    sun.data.angle = numbers.sun.angle_rad
    area = _add_lamp("AREA", numbers.area.power_w, numbers.area.location)
    area.data.shape = "SQUARE"
    area.data.size = numbers.area.side
    area.data.spread = math.pi
    spot = _add_lamp("SPOT", numbers.spot.power_w, (0.0, 0.0, 0.0))
    spot.data.shadow_soft_size = numbers.spot.radius
    spot.data.spot_size = math.radians(numbers.spot.cone_deg)
    spot.data.spot_blend = numbers.spot.blend
    return spot


def _add_camera() -> Any:
    numbers, data = scene_numbers().camera, bpy.data.cameras.new("camera")
    data.lens = numbers.lens_mm
    data.sensor_width = numbers.sensor_mm
    data.clip_start, data.clip_end = numbers.clip
    camera = _link("camera", data)
    camera.location = numbers.location
    camera.rotation_euler = _aim(numbers.location, numbers.target)
    return camera
