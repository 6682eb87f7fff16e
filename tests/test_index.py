from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from threedident import NearestLatents


@pytest.mark.parametrize("k", [1, 2, 7])
def test_agrees_with_brute_force(k: int) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-1, 1, (3000, 10)).astype(np.float32)
    queries = rng.uniform(-1, 1, (300, 10)).astype(np.float32)
    everything = cdist(queries, points)
    found = NearestLatents(points).search(queries, k)
    assert found.indices.shape == found.distances.shape == (300, k)
    assert (found.indices == np.argsort(everything, axis=1)[:, :k]).all()
    assert found.distances == pytest.approx(np.sort(everything, axis=1)[:, :k], abs=1e-12)


def test_near_ties_far_from_the_origin_are_ranked_exactly() -> None:
    points = np.array([[1000.0, 1e-4], [1000.0, 2e-4], [1000.0, 3e-4], [0.0, 0.0]])
    found = NearestLatents(points).search(np.array([[1000.0, 0.0]]), 3)
    assert found.indices.tolist() == [[0, 1, 2]]


def test_a_point_is_its_own_neighbour_and_ties_go_to_the_lower_row() -> None:
    points = np.repeat(np.eye(4), 2, axis=0)
    found = NearestLatents(points).search(points, 2)
    assert (found.distances == 0).all()
    assert found.indices.tolist() == [[i, i + 1] for i in (0, 0, 2, 2, 4, 4, 6, 6)]


def test_latents_are_copied() -> None:
    points = np.eye(3)
    index = NearestLatents(points)
    points[:] = 0
    assert index.search(np.eye(3)).indices[:, 0].tolist() == [0, 1, 2]


def test_survives_pickling_after_use() -> None:
    points = np.random.default_rng(1).normal(size=(50, 3))
    index = NearestLatents(points)
    before = index.search(points[:5], 3)
    after = pickle.loads(pickle.dumps(index)).search(points[:5], 3)
    assert (after.indices == before.indices).all()


def test_takes_tensors_and_numpy_integers() -> None:
    points = torch.eye(4, requires_grad=True)
    found = NearestLatents(points).search(points.bfloat16(), k=np.int64(1))  # type: ignore[arg-type]
    assert found.indices[:, 0].tolist() == [0, 1, 2, 3]


def test_no_queries_no_neighbours() -> None:
    assert NearestLatents(np.eye(3)).search(np.empty((0, 3)), 2).indices.shape == (0, 2)


@pytest.mark.parametrize(
    ("latents", "queries", "k", "words"),
    [
        (np.empty((0, 3)), np.eye(3), 1, "at least one row"),
        (np.zeros(3), np.eye(3), 1, "expected shape"),
        (np.full((2, 3), np.nan), np.eye(3), 1, "NaN or infinity in row 0"),
        (np.eye(3), np.full((2, 3), np.inf), 1, "NaN or infinity in row 0"),
        (np.eye(3), np.eye(4), 1, "expected 3 columns"),
        (np.eye(3), np.eye(3), 4, "expected 1 to 3 neighbours, found 4"),
        (np.eye(3), np.eye(3), 0, "expected 1 to 3 neighbours, found 0"),
        (np.eye(3), np.full((1, 3), 1e30), 1, "too far"),
    ],
)
def test_bad_input_is_named(latents: np.ndarray, queries: np.ndarray, k: int, words: str) -> None:
    with pytest.raises(ValueError, match="expected") as error:
        NearestLatents(latents).search(queries, k)
    assert words in str(error.value)
