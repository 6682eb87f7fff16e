"""The two published materials as Cycles node trees.

The functions receive an existing tree, so this module does not import Blender.

References:
    CLEVR: A Diagnostic Dataset for Compositional Language and Elementary Visual Reasoning,
    Johnson et al., 2017, https://arxiv.org/abs/1612.06890 (origin of the two materials)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from render.scene.constants import scene_numbers
from render.scene.frame import Material


class _Graph:
    """Builder of a node tree. Inputs of a node are numbers, colours or outputs of other nodes."""

    def __init__(self, tree: Any) -> None:
        self._tree = tree
        tree.nodes.clear()

    def add(self, kind: str, **inputs: Any) -> Any:
        made = self._tree.nodes.new(f"ShaderNode{kind}")
        for name, value in inputs.items():
            self._fill(made.inputs[name.replace("_", " ")], value)
        return made

    def mix(self, first: Any, second: Any, factor: Any) -> Any:
        mixed = self.add("MixShader", Fac=factor)
        for place, shader in ((1, first), (2, second)):
            self._tree.links.new(shader.outputs[0], mixed.inputs[place])
        return mixed

    def fresnel(self, ior: float) -> Any:
        return self.add("Fresnel", IOR=ior).outputs[0]

    def finish(self, surface: Any) -> None:
        self.add("OutputMaterial", Surface=surface.outputs[0])

    def _fill(self, socket: Any, value: Any) -> None:
        if isinstance(value, (int, float, tuple)):
            socket.default_value = value
        else:
            self._tree.links.new(value, socket)


def _rubber(graph: _Graph, color: Any) -> Any:
    numbers = scene_numbers().rubber
    diffuse = graph.add("BsdfDiffuse", Color=color)
    sheen = graph.add("BsdfSheen", Color=color, Roughness=numbers.sheen_roughness)
    sheen.distribution = "ASHIKHMIN"
    grey = (numbers.gloss_grey,) * 3 + (1.0,)
    gloss = graph.add("BsdfAnisotropic", Color=grey, Roughness=math.sqrt(numbers.roughness))
    gloss.distribution = "BECKMANN"
    soft = graph.mix(diffuse, sheen, graph.fresnel(numbers.ior + numbers.sheen_ior_offset))
    return graph.mix(soft, gloss, graph.fresnel(numbers.ior))


def _metal(graph: _Graph, color: Any) -> Any:
    numbers = scene_numbers().metal
    coats = []
    for roughness in numbers.roughnesses:
        coat = graph.add(
            "BsdfAnisotropic", Color=color, Roughness=roughness, Anisotropy=numbers.anisotropy
        )
        coat.distribution = "GGX"
        coats.append(coat)
    return graph.mix(coats[0], coats[1], numbers.mix)


_SURFACES: dict[Material, Callable[[_Graph, Any], Any]] = {"rubber": _rubber, "metal": _metal}


def build(tree: Any, material: Material) -> Any:
    """Build the material in ``tree``, and return the socket that holds its colour."""
    graph = _Graph(tree)
    color = graph.add("RGB").outputs[0]
    graph.finish(_SURFACES[material](graph, color))
    return color


def build_labels(tree: Any) -> None:
    """Build a material in ``tree`` that emits the object's index as red and its depth as green.

    Depth is measured along the camera's axis, in Blender units.
    """
    graph = _Graph(tree)
    index = graph.add("ObjectInfo").outputs["Object Index"]
    depth = graph.add("CameraData").outputs["View Z Depth"]
    values = graph.add("CombineColor", Red=index, Green=depth).outputs[0]
    graph.finish(graph.add("Emission", Color=values))
