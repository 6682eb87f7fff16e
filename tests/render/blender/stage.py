"""Shots of the scene with all but a few things taken away: ``python stage.py OUT.npz``.

Every shot sets up a fresh :class:`render.blender.stage.Stage`, changes objects by
name, and draws without a denoiser. Kept are the image that ``draw`` returns and the linear
radiance of the same render, before colour management. Only :func:`main` loads Blender, so that
tests may import the shots.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Latents = tuple[float, ...]

LAMPS = ("sun", "area", "spot")
TERMS = {
    "only diffuse": "ShaderNodeBsdfDiffuse",
    "only sheen": "ShaderNodeBsdfSheen",
    "only gloss": "ShaderNodeBsdfAnisotropic",
}
CENTRE: Latents = (0.0,) * 10
POSES: tuple[Latents, ...] = (
    CENTRE,
    (-0.6, 0.5, -0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    (0.3, -0.5, 0.2, 0.9, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    (-0.4, 0.2, 0.4, 0.0, -0.7, 0.0, 0.0, 0.0, 0.0, 0.0),
    (-0.9, -0.7, -0.3, 0.0, 0.0, 0.8, 0.0, 0.0, 0.0, 0.0),
    (-0.2, 0.1, -0.5, -0.8, 0.6, -0.9, 0.0, 0.0, 0.0, 0.0),
)
SPOTS: tuple[Latents, ...] = (
    CENTRE,
    (-0.8, 0.5, -0.6, 0.0, 0.0, 0.0, 0.7, 0.0, 0.4, 0.0),
    (0.1, -0.7, 0.5, 0.0, 0.0, 0.0, -0.6, 0.0, -0.5, 0.0),
)
HUES: Latents = (-0.2, 0.1, -0.5, -0.3, 0.6, -0.4, 0.3, 0.3, 0.6, 0.5)
OTHER_HUES: dict[str, Latents] = {
    "object": (*HUES[:7], -0.8, *HUES[8:]),
    "spot": (*HUES[:8], -0.8, *HUES[9:]),
    "ground": (*HUES[:9], -0.8),
}
TILTS = {"overhead": 0.0, "towards": 0.9, "away": -0.9}

OCCLUDERS = {"sun": 20.0, "area": 5.0, "spot": 7.0}

ALBEDO = (0.8, 0.5, 0.2)
SPAN = 200.0  # "position" glows with P / SPAN + 1/2 and "normal" with n / 2 + 1/2
RAMP = 0.03  # "ramp" glows with RAMP y + 1/2
STEP = (1.0, 0.3, -2.0)  # "step" glows where x + 0.3 y > -2


@dataclass(frozen=True, kw_only=True)
class Shot:
    """What one shot shows.

    Arguments:
        latents: raw latents, shape (10,).
        edge: edge of the image in pixels.
        samples: samples per pixel.
        lamps: the lamps that are lit.
        ground: surface of the ground: ``hidden``, ``rubber``, one of :data:`TERMS` (the rubber
            with its two other terms black), ``diffuse``, or one of :func:`_glow`.
        teapot: the same for the object.
        tilt: turn of the sun about the y axis in rad; positive brings it to the camera's side.
        occluder: height of a half-plane x < 0 that the camera does not see.
        flat: replace the object's mesh by a plane through its origin that keeps its material.
        upwards: camera at the origin, looking straight up.
        seen: let the camera see the lamps.
    """

    latents: Latents = CENTRE
    edge: int = 64
    samples: int = 64
    lamps: tuple[str, ...] = ()
    ground: str = "hidden"
    teapot: str = "hidden"
    tilt: float = 0.0
    occluder: float | None = None
    flat: bool = False
    upwards: bool = False
    seen: bool = False


def _shots() -> dict[str, Shot]:
    bumpy = Shot(latents=POSES[5], edge=128, samples=16)
    full = Shot(latents=HUES, lamps=LAMPS, samples=128)
    hues = replace(full, ground="rubber", teapot="rubber", samples=16)
    sunny = Shot(latents=HUES, lamps=("sun",), edge=48, samples=128)
    upwards = Shot(upwards=True, edge=96, samples=32)
    shots = {
        "ground": Shot(ground="position"),
        "ramp": Shot(ground="ramp", edge=128, samples=16),
        "step": Shot(ground="step", samples=256),
        "normals": replace(bumpy, teapot="normal"),
        "points": replace(bumpy, teapot="position"),
        "lamps": replace(upwards, lamps=LAMPS),
        "rubber": replace(full, ground="rubber"),
        "object": replace(full, teapot="rubber", flat=True),
        "mask": replace(hues, lamps=(), ground="hidden", teapot="glow"),
        "hues": hues,
        "hues by spot": replace(hues, lamps=("spot",)),
        "other spot by spot": replace(hues, latents=OTHER_HUES["spot"], lamps=("spot",)),
    }
    for i, latents in enumerate(POSES):
        shots[f"pose {i}"] = Shot(latents=latents, teapot="glow", edge=128, samples=32)
    for i, latents in enumerate(SPOTS):
        shots[f"spot {i}"] = Shot(latents=latents, lamps=("spot",), ground="diffuse", edge=96)
    for lamp, height in OCCLUDERS.items():
        shots[f"{lamp} seen"] = replace(upwards, lamps=(lamp,), seen=True)
        shots[f"{lamp} alone"] = Shot(lamps=(lamp,), ground="diffuse")
        shots[f"{lamp} cut"] = replace(shots[f"{lamp} alone"], occluder=height)
    for name, tilt in TILTS.items():
        for surface in ("rubber", *TERMS):
            shots[f"{surface}, sun {name}"] = replace(sunny, ground=surface, tilt=tilt)
    for name, latents in OTHER_HUES.items():
        shots[f"other {name}"] = replace(hues, latents=latents)
    return shots


SHOTS = _shots()


def _glow(bpy: Any, kind: str) -> Any:
    """A material that emits a known function of the place: glow, position, normal, ramp, step."""
    material = bpy.data.materials.new(kind)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    emission, output = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    links.new(emission.outputs[0], output.inputs["Surface"])
    emission.inputs["Color"].default_value = (1.0, 1.0, 1.0, 1.0)
    if kind == "glow":
        return material
    place = nodes.new("ShaderNodeNewGeometry").outputs[
        "Normal" if kind == "normal" else "Position"
    ]
    vector = nodes.new("ShaderNodeVectorMath")
    links.new(place, vector.inputs[0])
    if kind in ("position", "normal"):
        vector.operation = "MULTIPLY_ADD"
        vector.inputs[1].default_value = (1 / SPAN if kind == "position" else 0.5,) * 3
        vector.inputs[2].default_value = (0.5,) * 3
        links.new(vector.outputs["Vector"], emission.inputs["Color"])
        return material
    vector.operation = "DOT_PRODUCT"
    vector.inputs[1].default_value = (0.0, RAMP, 0.0) if kind == "ramp" else (*STEP[:2], 0.0)
    level = nodes.new("ShaderNodeMath")
    level.operation = "ADD" if kind == "ramp" else "GREATER_THAN"
    level.inputs[1].default_value = 0.5 if kind == "ramp" else STEP[2]
    links.new(vector.outputs["Value"], level.inputs[0])
    links.new(level.outputs[0], emission.inputs["Color"])
    return material


def _diffuse(bpy: Any) -> Any:
    material = bpy.data.materials.new("diffuse")
    material.use_nodes = True
    nodes = material.node_tree.nodes
    nodes.clear()
    diffuse = nodes.new("ShaderNodeBsdfDiffuse")
    diffuse.inputs["Color"].default_value = (*ALBEDO, 1.0)
    output = nodes.new("ShaderNodeOutputMaterial")
    material.node_tree.links.new(diffuse.outputs[0], output.inputs["Surface"])
    return material


def _keep_one_term(tree: Any, kept: str) -> None:
    for node in tree.nodes:
        if node.bl_idname in TERMS.values() and node.bl_idname != TERMS[kept]:
            for link in node.inputs["Color"].links:
                tree.links.remove(link)
            node.inputs["Color"].default_value = (0.0, 0.0, 0.0, 1.0)


def _dress(bpy: Any, thing: Any, surface: str) -> None:
    thing.hide_render = surface == "hidden"
    if surface in TERMS:
        _keep_one_term(thing.data.materials[0].node_tree, surface)
    elif surface == "diffuse":
        thing.data.materials[0] = _diffuse(bpy)
    elif surface not in ("hidden", "rubber"):
        thing.data.materials[0] = _glow(bpy, surface)


def _plane(bpy: Any, name: str, x_max: float) -> Any:
    """The part x < x_max of a horizontal plane."""
    data, far = bpy.data.meshes.new(name), 500.0
    corners = [(-far, -far, 0.0), (x_max, -far, 0.0), (x_max, far, 0.0), (-far, far, 0.0)]
    data.from_pydata(corners, [], [[0, 1, 2, 3]])
    return data


def _arrange(bpy: Any, shot: Shot) -> None:
    """Take away from the stage what the shot does not show."""
    things = bpy.data.objects
    bpy.context.scene.cycles.use_denoising = False
    for name in LAMPS:
        things[name].hide_render = name not in shot.lamps
        things[name].visible_camera |= shot.seen
    _dress(bpy, things["ground"], shot.ground)
    _dress(bpy, things["teapot"], shot.teapot)
    things["sun"].rotation_euler = (0.0, shot.tilt, 0.0)
    if shot.flat:
        plane = _plane(bpy, "plane", 500.0)
        plane.materials.append(things["teapot"].data.materials[0])
        things["teapot"].data = plane
    if shot.occluder is not None:
        occluder = things.new("occluder", _plane(bpy, "occluder", 0.0))
        occluder.location = (0.0, 0.0, shot.occluder)
        occluder.visible_camera = False
        bpy.context.scene.collection.objects.link(occluder)
    if shot.upwards:
        things["camera"].location = (0.0, 0.0, 0.0)
        things["camera"].rotation_euler = (np.pi, 0.0, 0.0)


def _radiance(bpy: Any, file: Path) -> NDArray[np.float32]:
    """The last render before colour management, shape (edge, edge, 3)."""
    from render.blender.film import set_format

    settings = bpy.context.scene.render.image_settings
    set_format(settings, "OPEN_EXR", "IMAGE")
    settings.color_depth = "32"
    bpy.data.images["Render Result"].save_render(str(file), scene=bpy.context.scene)
    image = bpy.data.images.load(str(file))
    values = np.empty((image.size[1], image.size[0], image.channels), dtype=np.float32)
    image.pixels.foreach_get(values.ravel())
    return values[::-1, :, :3]


def main(out: str) -> None:
    """Take every shot; two arrays each, named ``<shot>/image`` and ``<shot>/radiance``."""
    import bpy

    from render.blender.stage import Stage
    from render.scene.frame import frame
    from render.settings import Quality
    from threedident.latents.sampling import to_physical

    arrays: dict[str, NDArray[Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, shot in SHOTS.items():
            quality = Quality(samples=shot.samples, denoiser="FAST")
            stage = Stage(shot.edge, quality, "cpu", 2)
            _arrange(bpy, shot)
            [physical] = to_physical(np.array([shot.latents]))
            if shot.flat:
                physical[3:6] = 0.0
            arrays[f"{name}/image"] = stage.draw(frame(physical, "wrapped"))
            arrays[f"{name}/radiance"] = _radiance(bpy, Path(scratch) / "radiance.exr")
    np.savez(out, **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
