"""The Utah teapot as a mesh, tessellated from Newell's 32 bicubic Bezier patches.

A patch with control points P_ij is S(u, v) = sum_ij B_i(u) B_j(v) P_ij, with the cubic
Bernstein polynomials B_i(t) = C(3, i) t^i (1 - t)^(3 - i). Points that coincide, within a
patch (the poles) and between patches (the seams), are welded into one vertex.

References:
    The Origins of the Teapot, Crow, 1987, https://doi.org/10.1109/MCG.1987.277079
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb

from render.scene.constants import scene_numbers
from threedident.runtime.packages import asset_path

WELD_DIGITS = 5


@dataclass(frozen=True)
class Mesh:
    """A polygon mesh.

    Arguments:
        vertices: positions in Blender units, shape (V, 3), read-only.
        faces: vertex indices of each face, counter-clockwise seen from outside; three indices at
            the poles, four elsewhere.
    """

    vertices: NDArray[np.float64]
    faces: tuple[tuple[int, ...], ...]

    @property
    def largest_dimension(self) -> float:
        """The longest edge of the axis-aligned bounding box."""
        return float(np.ptp(self.vertices, axis=0).max())


def bernstein(segments: int) -> NDArray[np.float64]:
    """The four cubic Bernstein polynomials on an even grid of [0, 1], shape (segments + 1, 4)."""
    t = np.linspace(0.0, 1.0, segments + 1)[:, None]
    i = np.arange(4)
    basis: NDArray[np.float64] = comb(3, i) * t**i * (1.0 - t) ** (3 - i)
    return basis


@cache
def newell_teapot(segments: int) -> Mesh:
    """Newell's teapot in its own coordinates (height 3.15, spout along +x, up +z).

    Arguments:
        segments: number of faces along each patch edge.
    """
    net = json.loads(asset_path("teapot.json").read_text())
    patches = np.asarray(net["points"], dtype=np.float64)[np.asarray(net["patches"])]
    basis = bernstein(segments)
    grids = np.einsum("ui,vj,pijk->puvk", basis, basis, patches.reshape(-1, 4, 4, 3))
    return _weld(grids)


def _weld(grids: NDArray[np.float64]) -> Mesh:
    """Join the point grids of all patches, shape (P, S + 1, S + 1, 3), into one mesh."""
    points = grids.reshape(-1, 3)
    _, first, index = np.unique(
        np.round(points, WELD_DIGITS) + 0.0, axis=0, return_index=True, return_inverse=True
    )
    ids = index.reshape(grids.shape[:3])
    corners = [ids[:, :-1, :-1], ids[:, :-1, 1:], ids[:, 1:, 1:], ids[:, 1:, :-1]]
    quads = np.stack(corners, axis=-1).reshape(-1, 4)
    faces = (tuple(dict.fromkeys(quad)) for quad in quads.tolist())
    vertices = points[first]
    vertices.setflags(write=False)
    return Mesh(vertices=vertices, faces=tuple(face for face in faces if len(face) >= 3))


@cache
def scene_teapot() -> Mesh:
    """The teapot of the 3DIdent scene around its own origin, without the object's scale."""
    numbers = scene_numbers().object
    teapot = newell_teapot(numbers.segments)
    turn = np.deg2rad(numbers.fit_turn_deg)
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    vertices = numbers.fit_scale * teapot.vertices @ rotation.T + [0.0, 0.0, numbers.fit_lift]
    vertices.setflags(write=False)
    return Mesh(vertices=vertices, faces=teapot.faces)
