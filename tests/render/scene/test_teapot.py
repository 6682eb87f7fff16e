from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.spatial import KDTree

from render.scene.frame import largest_dimension
from render.scene.teapot import bernstein, newell_teapot, scene_teapot


def edges(faces: tuple[tuple[int, ...], ...]) -> Counter[tuple[int, int]]:
    return Counter((face[i - 1], face[i]) for face in faces for i in range(len(face)))


def test_bernstein_polynomials_are_a_partition_of_unity() -> None:
    basis = bernstein(7)
    assert basis.sum(axis=1) == pytest.approx(1)
    assert (basis[0] == [1, 0, 0, 0]).all()
    assert (basis[-1] == [0, 0, 0, 1]).all()
    assert basis @ [0, 1 / 3, 2 / 3, 1] == pytest.approx(np.linspace(0, 1, 8))


def test_bounds_are_those_of_newells_teapot() -> None:
    vertices = newell_teapot(10).vertices
    assert vertices.min(axis=0) == pytest.approx([-3, -2, 0], abs=1e-3)
    assert vertices.max(axis=0) == pytest.approx([3.434, 2, 3.15], abs=1e-3)


def test_bounds_are_those_of_the_published_mesh() -> None:
    vertices = scene_teapot().vertices
    assert vertices.min(axis=0) == pytest.approx([-1.40211, -1.55930, -0.90669], abs=1e-4)
    assert vertices.max(axis=0) == pytest.approx([1.55930, 1.40211, 1.09257], abs=1e-4)
    assert largest_dimension() == pytest.approx(4.4421, abs=1e-4)


def test_seams_are_welded_and_faces_agree_on_outside() -> None:
    mesh = newell_teapot(10)
    directed = edges(mesh.faces)
    assert max(directed.values()) == 1
    open_edges = [edge for edge in directed if edge[::-1] not in directed]
    # Newell's handle and spout meet the body without a common edge; each of their ends, the
    # spout's mouth and the two rims are rings of patch edges of ten segments.
    assert len(open_edges) % 10 == 0
    assert len(set(map(tuple, np.round(mesh.vertices, 5)))) == len(mesh.vertices)


def test_faces_look_outwards() -> None:
    mesh = newell_teapot(6)
    volume = sum(
        np.dot(mesh.vertices[f[0]], np.cross(mesh.vertices[f[i]], mesh.vertices[f[i + 1]])) / 6
        for f in mesh.faces
        for i in range(1, len(f) - 1)
    )
    assert volume > 0


def test_mirror_symmetry() -> None:
    points = newell_teapot(4).vertices
    distances, _ = KDTree(points).query(points * [1, -1, 1])
    assert distances.max() < 1e-9


def test_vertices_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        scene_teapot().vertices[0, 0] = 1
