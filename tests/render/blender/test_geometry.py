"""Silhouettes, normals and places of the picture against theory."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from scipy.spatial import KDTree

from render.scene.teapot import Mesh
from tests.render.blender.closed_forms import (
    GROUND,
    Array,
    Shots,
    centroid,
    filter_window,
    pixel_centres,
    polygon_coverage,
    project,
    rms,
    teapot,
    unit,
)
from tests.render.blender.stage import (
    POSES,
    SPAN,
    STEP,
)

pytestmark = pytest.mark.slow


def vertex_normals(mesh: Mesh) -> tuple[Array, float]:
    """Mean of the normals of the faces around each vertex, NaN at rims, and the faces' spread.

    The corners' normals are weighted by their angles; the spread is the median angle in degrees
    between the two.
    """
    corners, pairs = [], []
    for face in mesh.faces:
        pairs += [tuple(sorted((face[i - 1], face[i]))) for i in range(len(face))]
        corners += [(face[i - 1], face[i], face[(i + 1) % len(face)]) for i in range(len(face))]
    before, here, after = np.array(corners).T
    back = unit(mesh.vertices[before] - mesh.vertices[here])
    ahead = unit(mesh.vertices[after] - mesh.vertices[here])
    flat = unit(np.cross(ahead, back))
    normals = np.zeros_like(mesh.vertices)
    np.add.at(normals, here, flat * np.arccos((back * ahead).sum(axis=1))[:, None])
    normals = unit(normals)
    spread = np.degrees(np.arccos(np.clip((normals[here] * flat).sum(axis=1), -1, 1)))
    rims = [pair for pair, count in Counter(pairs).items() if count != 2]
    normals[np.ravel(rims)] = np.nan
    return normals, float(np.median(spread))


@pytest.mark.parametrize("pose", range(len(POSES)))
def test_silhouette_is_the_projected_mesh(shots: Shots, pose: int) -> None:
    drawn = shots.radiance(f"pose {pose}")[..., 0]
    expected = polygon_coverage(teapot(POSES[pose]), len(drawn))
    ours, theirs = drawn > 0.5, expected > 0.5
    depth = np.where(theirs, distance_transform_edt(theirs), distance_transform_edt(~theirs))
    wrong = ours != theirs
    assert theirs.sum() > 500
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.985
    assert depth[wrong].max(initial=0) <= 1
    assert drawn.sum() / expected.sum() == pytest.approx(1, abs=0.006)
    assert centroid(drawn) == pytest.approx(centroid(expected), abs=0.03)


def test_shading_is_smooth(shots: Shots) -> None:
    """Near a vertex the shading normal is the mean of those of its faces, not one of them."""
    mesh = teapot(POSES[5])
    normals, spread = vertex_normals(mesh)
    inside = shots.radiance("pose 5")[..., 0] > 0.9999
    points = (shots.radiance("points")[inside] - 0.5) * SPAN
    drawn = unit(shots.radiance("normals")[inside] * 2 - 1)
    distances, nearest = KDTree(mesh.vertices).query(points)
    cos = np.abs((drawn * normals[nearest]).sum(axis=1))[distances < 0.04]
    angles = np.degrees(np.arccos(np.clip(cos[np.isfinite(cos)], 0, 1)))
    assert len(angles) > 80
    assert spread > 3
    assert np.median(angles) < 1


def test_every_pixel_shows_the_ground_where_its_ray_meets_it(shots: Shots) -> None:
    points = (shots.radiance("ground") - 0.5) * SPAN
    edge = len(points)
    assert points[..., 2] == pytest.approx(np.full((edge, edge), GROUND), abs=1e-3)
    assert project(points, edge) == pytest.approx(pixel_centres(edge), abs=0.06)


def test_an_edge_is_blurred_by_the_pixel_filter(shots: Shots) -> None:
    drawn = shots.radiance("step")[..., 0]
    places, weights = filter_window(40)
    offsets = np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2)
    ends = [[STEP[2] - STEP[1] * y, y, GROUND] for y in (-5.0, 5.0)]
    (ax, ay), (bx, by) = project(np.array(ends), len(drawn))
    x, y = np.moveaxis(pixel_centres(len(drawn))[..., None, :] + offsets, -1, 0)
    lit = (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0
    expected = lit @ np.outer(weights, weights).ravel()
    soft = (expected > 0.01) & (expected < 0.99)
    assert soft.sum() > 100
    assert rms((drawn - expected)[soft]) < 0.01
    assert np.abs(drawn - expected).max() < 0.04
