"""Nearest latents: whatever the kind, what is found is ranked as brute force ranks it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch.utils.data import DataLoader

from threedident import NearestLatents
from threedident.latents.factors import NAMES
from threedident.latents.philox import uniforms
from threedident.latents.spaces import SPACES

KINDS = ("exact", "hnsw", "ivf")


def points(n: int, d: int = 10, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (n, d)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 2, 7])
def test_agrees_with_brute_force(kind: str, k: int) -> None:
    latents, queries = points(3000), points(300, seed=1)
    everything = cdist(queries, latents)
    found = NearestLatents(latents, kind).search(queries, k)
    assert found.indices.shape == found.distances.shape == (300, k)
    same = found.indices == np.argsort(everything, axis=1)[:, :k]
    assert same.mean() > (0.98 if kind != "exact" else 0.9999)
    assert found.distances[same] == pytest.approx(
        np.sort(everything, axis=1)[:, :k][same], abs=1e-12
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS[1:])
def test_recall_is_what_is_stored(kind: str) -> None:
    latents = points(20_000)
    index = NearestLatents(latents, kind)
    assert index.recall >= 0.999
    queries = points(2000, seed=2)
    found = index.search(queries, 2).indices
    true = NearestLatents(latents, "exact").search(queries, 2).indices
    recall = (found[..., :, None] == true[..., None, :]).any(axis=-1).mean()
    assert recall >= 0.998
    assert abs(recall - index.recall) < 0.002


@pytest.mark.slow
def test_auto_goes_by_size_and_dimension() -> None:
    assert NearestLatents(points(500)).kind == "exact"
    assert NearestLatents(points(500)).recall == 1
    assert NearestLatents(points(12_000)).kind == "ivf"
    assert NearestLatents(points(12_000, 3)).kind == "hnsw"


def sphere() -> np.ndarray:
    normals = np.random.default_rng(3).normal(size=(4000, 10))
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def periodic(n: int = 4000) -> np.ndarray:
    space = SPACES["periodic"]
    return space.sample(uniforms(0, (9,), np.arange(n), space.count), {})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "latents",
    [sphere(), periodic(), np.repeat(points(500, 3), 8, axis=0), np.zeros((400, 4)), points(1)],
    ids=["sphere", "periodic", "duplicates", "one place", "one point"],
)
def test_other_shapes_of_data(kind: str, latents: np.ndarray) -> None:
    index = NearestLatents(latents, kind)
    k = min(2, len(latents))
    found = index.search(latents[:200], k)
    true = np.sort(cdist(latents[:200], latents.astype(np.float32)), axis=1)[:, :k]
    assert (found.distances <= true + 1e-6).mean() > 0.99
    assert index.recall >= 0.999


@pytest.mark.parametrize("kind", KINDS)
def test_more_neighbours_than_a_cell_holds(kind: str) -> None:
    latents = points(300, 3)
    found = NearestLatents(latents, kind).search(latents[:5], 300)
    assert (np.sort(found.indices, axis=1) == np.arange(300)).all()


def test_near_ties_far_from_the_origin_are_ranked_exactly() -> None:
    latents = np.array([[1000.0, 1e-4], [1000.0, 2e-4], [1000.0, 3e-4], [0.0, 0.0]])
    found = NearestLatents(latents).search(np.array([[1000.0, 0.0]]), 3)
    assert found.indices.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_point_is_its_own_neighbour_and_ties_go_to_the_lower_row(kind: str) -> None:
    latents = np.repeat(np.eye(4), 2, axis=0)
    found = NearestLatents(latents, kind).search(latents, 2)
    assert (found.distances == 0).all()
    assert found.indices.tolist() == [[i, i + 1] for i in (0, 0, 2, 2, 4, 4, 6, 6)]


def test_latents_are_copied() -> None:
    latents = np.eye(3)
    index = NearestLatents(latents)
    latents[:] = 0
    assert index.search(np.eye(3)).indices[:, 0].tolist() == [0, 1, 2]
    assert index.is_over(np.eye(3))
    assert not index.is_over(latents)


@pytest.mark.parametrize("kind", KINDS)
def test_survives_pickling_after_use(kind: str) -> None:
    latents = points(500, 3)
    index = NearestLatents(latents, kind)
    before = index.search(latents[:5], 3)
    after = pickle.loads(pickle.dumps(index)).search(latents[:5], 3)
    assert (after.indices == before.indices).all()


class Searches(torch.utils.data.Dataset[torch.Tensor]):
    def __init__(self, index: NearestLatents, queries: np.ndarray) -> None:
        self.index, self.queries = index, queries

    def __len__(self) -> int:
        return len(self.queries)

    def __getitem__(self, row: int) -> torch.Tensor:
        return torch.from_numpy(self.index.search(self.queries[[row]], 2).indices[0])


@pytest.mark.slow
@pytest.mark.parametrize("context", ["fork", "spawn"])
@pytest.mark.parametrize("kind", KINDS)
def test_serves_in_loader_processes(kind: str, context: str) -> None:
    latents, queries = points(2000, 4), points(40, 4, seed=5)
    index = NearestLatents(latents, kind)
    here = index.search(queries, 2).indices
    data = Searches(index, queries)
    loader = DataLoader(data, batch_size=10, num_workers=2, multiprocessing_context=context)
    assert (torch.cat(list(loader)).numpy() == here).all()


def test_takes_tensors_and_gives_them_back() -> None:
    latents = torch.eye(4, requires_grad=True)
    found = NearestLatents(latents).search(latents.bfloat16(), k=np.int64(1))  # type: ignore[arg-type]
    assert isinstance(found.indices, torch.Tensor)
    assert found.indices[:, 0].tolist() == [0, 1, 2, 3]
    assert found.distances.dtype == torch.float64


@pytest.mark.parametrize("kind", KINDS)
def test_no_queries_no_neighbours(kind: str) -> None:
    index = NearestLatents(points(50, 3), kind)
    assert index.search(np.empty((0, 3)), 2).indices.shape == (0, 2)


BUILD = """
import sys, numpy as np
from threedident import NearestLatents
rng = np.random.default_rng(0)
index = NearestLatents(rng.uniform(-1, 1, (12_000, 10)), sys.argv[1])
sys.stdout.buffer.write(index.search(rng.uniform(-1, 1, (3000, 10)), 2).indices.tobytes())
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS[1:])
def test_the_same_points_make_the_same_index(kind: str, tmp_path: Path) -> None:
    found = [
        subprocess.run(
            [sys.executable, "-c", BUILD, kind],
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / cache)},
            capture_output=True,
            check=True,
        ).stdout
        for cache in ("one", "two")
    ]
    assert found[0] == found[1]
    assert len(list(tmp_path.rglob("*.index"))) == 2


@pytest.mark.parametrize("factors", [["x", "y", "z"], ["gamma"], list(NAMES), ["z", "x"]])
@pytest.mark.parametrize("kind", KINDS)
def test_some_factors_of_the_box(kind: str, factors: list[str]) -> None:
    latents, queries = points(1200), points(50, seed=7)
    columns = [NAMES.index(name) for name in factors]
    index = NearestLatents(latents, kind, factors=factors)
    found = index.search(queries, 2)
    true = np.sort(cdist(queries[:, columns], latents[:, columns]), axis=1)[:, :2]
    assert (found.distances <= true + 1e-9).mean() > 0.98
    alone = index.search(queries[:, columns], 2)
    assert (alone.indices == found.indices).all()


def test_angles_of_the_periodic_space_have_no_ends() -> None:
    latents = periodic()
    index = NearestLatents(latents, "exact", factors=["x", "theta", "background_hue"])
    queries = periodic(4100)[4000:]
    physical = [SPACES["periodic"].physical(rows).astype(float) for rows in (queries, latents)]
    square = (queries[:, None, 0].astype(float) - latents[None, :, 0]) ** 2
    for name in ("theta", "background_hue"):
        turn = np.subtract.outer(*(rows[:, NAMES.index(name)] for rows in physical))
        square += 2 - 2 * np.cos(turn)
    found = index.search(queries, 3)
    assert found.distances == pytest.approx(np.sqrt(np.sort(square, axis=1)[:, :3]), abs=1e-6)
    positions = NearestLatents(latents, "exact", factors=["y", "x"])
    assert (
        positions.search(queries).indices == positions.search(queries[:, [1, 0]]).indices
    ).all()


@pytest.mark.parametrize(
    ("latents", "factors", "words"),
    [
        (points(9), ["w"], "factors: expected one of x, y, z, .*, found 'w'"),
        (points(9), [], "factors: expected different names, found none"),
        (points(9), ["x", "x"], "factors: expected different names, found x, x"),
        (points(9, 4), ["x"], "factors: expected latents of 10 or 11 columns .* found 4"),
    ],
)
def test_bad_factors(latents: np.ndarray, factors: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        NearestLatents(latents, factors=factors)


def test_a_query_with_other_columns_than_the_factors() -> None:
    box = NearestLatents(points(9), factors=["x", "y"])
    with pytest.raises(ValueError, match="10 columns as the latents have, or the 2 of the fact"):
        box.search(points(2, 3))
    angles = NearestLatents(periodic(9), factors=["x", "theta"])
    with pytest.raises(ValueError, match="queries: expected 11 columns as the latents have, f"):
        angles.search(points(2, 2))


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
        (np.eye(3), np.full((1, 3), 1e30), 1, "overflows float32"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_bad_input_is_named(
    kind: str, latents: np.ndarray, queries: np.ndarray, k: int, words: str
) -> None:
    with pytest.raises(ValueError, match="expected") as error:
        NearestLatents(latents, kind).search(queries, k)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"kind": "lsh"}, "kind: expected one of auto, exact, hnsw, ivf, found 'lsh'"),
        ({"device": "tpu"}, "device: expected one of cpu, cuda, found 'tpu'"),
    ],
)
def test_unknown_words(asked: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        NearestLatents(points(9), **asked)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("kind", ["auto", *KINDS])
def test_no_gpu_is_one_line(kind: str) -> None:
    with pytest.raises(ValueError, match="device: expected cpu here, found cuda"):
        NearestLatents(points(9), kind, "cuda")


def test_without_faiss_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threedident.index.families.faiss", None)
    monkeypatch.setattr("threedident.index.families._FOUND", "neither", raising=False)
    with pytest.raises(ValueError, match=r"faiss: expected faiss-gpu or .*, found neither"):
        NearestLatents(np.zeros((3, 2)))
