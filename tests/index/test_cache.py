"""Kept indexes: opened and not built again, and never taken for those of other latents."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from threedident import NearestLatents


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "threedident"


def points(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (1500, 5)).astype(np.float32)


def kept(folder: Path) -> Path:
    [path] = folder.glob("*.index")
    return path


@pytest.mark.parametrize("kind", ["hnsw", "ivf"])
def test_an_index_is_opened_again(folder: Path, kind: str) -> None:
    built = NearestLatents(points(), kind)
    before = kept(folder).stat()
    opened = NearestLatents(points(), kind)
    assert kept(folder).stat() == before
    assert opened.recall == built.recall
    queries = points(1)
    assert (opened.search(queries, 2).indices == built.search(queries, 2).indices).all()


def test_each_index_has_a_file_of_its_own(folder: Path) -> None:
    NearestLatents(points(), "hnsw")
    NearestLatents(points(), "ivf")
    NearestLatents(points(1), "hnsw")
    NearestLatents(points()[:, :4], "hnsw")
    assert len(list(folder.iterdir())) == 4


def test_exact_indexes_are_not_kept(folder: Path) -> None:
    NearestLatents(points(), "exact")
    assert not folder.exists()


def rewritten(**changes: object) -> Callable[[bytes], bytes]:
    """Changes entries of the header, or of the source in it."""

    def change(content: bytes) -> bytes:
        line, _, payload = content.partition(b"\n")
        header = json.loads(line)
        for name, value in changes.items():
            (header if name in header else header["source"])[name] = value
        return json.dumps(header).encode() + b"\n" + payload

    return change


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda content: content[:-1], r"expected \d+ bytes of index, found \d+"),
        (lambda content: content[:5000], r"expected \d+ bytes of index, found \d+"),
        (
            lambda content: content[:-9] + bytes([content[-9] ^ 4]) + content[-8:],
            "expected an index with SHA-256 .* found it altered",
        ),
        (lambda content: content[:40], "expected the header of an index, found none"),
        (lambda _: b"", "expected the header of an index, found none"),
        (rewritten(recall=2.0), "expected the header of an index, found none"),
        (rewritten(recall=0.5), "found it altered"),
        (rewritten(faiss="1.7.2"), r"expected faiss \d.*, found 1\.7\.2"),
        (rewritten(points="0" * 64), "expected points .*, found 000"),
        (rewritten(kind="ivf"), "expected kind hnsw, found ivf"),
        (rewritten(sha256="\ufeff" + "0" * 63), "expected the header of an index, found none"),
    ],
)
def test_a_bad_file_is_one_line(folder: Path, harm: Callable[[bytes], bytes], words: str) -> None:
    NearestLatents(points(), "hnsw")
    path = kept(folder)
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(ValueError, match=words) as error:
        NearestLatents(points(), "hnsw")
    assert str(path) in str(error.value)
    assert "delete it and it is built anew" in str(error.value)
    path.unlink()
    assert NearestLatents(points(), "hnsw").recall > 0.99
    assert kept(folder) == path


def test_where_nothing_can_be_kept_the_index_serves_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    index = NearestLatents(points(), "hnsw")
    assert index.search(points()[:3]).indices[:, 0].tolist() == [0, 1, 2]
    assert "this one stays in memory" in capfd.readouterr().err
    assert (tmp_path / "file").read_text() == "no folder"


def test_a_pipe_in_place_of_a_kept_index_blocks_nobody(folder: Path) -> None:
    NearestLatents(points(), "hnsw")
    path = kept(folder)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"\.index: expected a plain file, found another kind"):
        NearestLatents(points(), "hnsw")


def test_a_kept_index_that_is_larger_than_it_says_takes_no_memory(folder: Path) -> None:
    NearestLatents(points(), "hnsw")
    with kept(folder).open("r+b") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match=r"expected \d+ bytes of index, found \d{13}; delete it"):
        NearestLatents(points(), "hnsw")


@pytest.mark.parametrize("row", [0, 700, 1499])
def test_other_points_have_another_index_whichever_row_differs(folder: Path, row: int) -> None:
    latents = points()
    NearestLatents(latents, "ivf")
    latents[row] = 0.9999
    found = NearestLatents(latents, "ivf").search(latents[[row]], 1)
    assert len(list(folder.glob("*.index"))) == 2
    assert found.indices.tolist() == [[row]]
