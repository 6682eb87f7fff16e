"""Creation of Blender's objects: teapot, ground, lamps, camera, and the scene of labels."""

from __future__ import annotations

import math
from typing import Any

import bpy
from mathutils import Vector

from render.blender.film import Film
from render.blender.materials import build, build_labels
from render.scene.constants import Triple, scene_numbers
from render.scene.frame import Material, largest_dimension
from render.scene.teapot import scene_teapot
from render.settings import Quality
from threedident.dataset.annotations import GROUND, OBJECT

_LABELS = Quality(samples=1, denoiser=None)


def black_world() -> Any:
    """A new world that emits no light."""
    world = bpy.data.worlds.new("black")
    world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (0.0, 0.0, 0.0, 1.0)
    background.inputs["Strength"].default_value = 0.0
    return world


def aim(source: Triple, target: Triple) -> Any:
    """Euler angles that turn an object's -z axis from ``source`` towards ``target``, +y up."""
    return (Vector(target) - Vector(source)).to_track_quat("-Z", "Y").to_euler()


def _link(name: str, data: Any) -> Any:
    thing = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def add_teapot() -> Any:
    """A new teapot of the published size, rotated by Euler angles XYZ."""
    mesh, data = scene_teapot(), bpy.data.meshes.new("teapot")
    data.from_pydata(mesh.vertices.tolist(), [], [list(face) for face in mesh.faces])
    data.shade_smooth()
    teapot = _link("teapot", data)
    teapot.scale = (scene_numbers().object.scale,) * 3
    teapot.rotation_mode = "XYZ"
    teapot.pass_index = OBJECT
    return teapot


def add_ground() -> Any:
    """A new ground: a square below the origin, at the distance of the largest object dimension."""
    half, data = scene_numbers().ground.size / 2, bpy.data.meshes.new("ground")
    corners = [(-half, -half, 0.0), (half, -half, 0.0), (half, half, 0.0), (-half, half, 0.0)]
    data.from_pydata(corners, [], [[0, 1, 2, 3]])
    ground = _link("ground", data)
    ground.location = (0.0, 0.0, -largest_dimension())
    ground.pass_index = GROUND
    return ground


def add_material(thing: Any, material: Material) -> Any:
    """Give ``thing`` a new material, and return the node socket that holds its colour."""
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


def add_lamps() -> dict[str, Any]:
    """New lamps by name: ``sun``, ``area`` and ``spot``. They are invisible to the camera."""
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


def add_camera() -> Any:
    """A new camera, aimed at the published target."""
    numbers, data = scene_numbers().camera, bpy.data.cameras.new("camera")
    data.lens, data.sensor_width = numbers.lens_mm, numbers.sensor_mm
    data.clip_start, data.clip_end = numbers.clip
    camera = _link("camera", data)
    camera.location = numbers.location
    camera.rotation_euler = aim(numbers.location, numbers.target)
    return camera


def add_label_scene(film: Film, *things: Any) -> Any:
    """A new scene of the same objects, whose pixels hold index and depth at their centres."""
    scene = film.new_scene("labels", _LABELS, things[-1])
    scene.cycles.filter_width = 0.01
    for thing in things:
        scene.collection.objects.link(thing)
    material = bpy.data.materials.new("labels")
    material.use_nodes = True
    build_labels(material.node_tree)
    scene.view_layers[0].material_override = material
    return scene
