"""What was written before the code moved into folders opens for ever, and means the same.

``early.tar.xz`` holds two data sets, packs, an index, a run, a submission and a board, as the
version of 30 November 2026 wrote them.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.leaderboard.board.board import read_board
from benchmark.leaderboard.board.page import page
from benchmark.leaderboard.submission.folder import SubmissionFolder
from benchmark.leaderboard.verification.entry import Entry
from benchmark.training.folder import RunFolder
from tests.conftest import cli, contents, done_at_once, pixels, succeeded
from threedident import NearestLatents, RenderedPairs, ThreeDIdent, load_encoder
from threedident.dataset.pack import find_pack, pack_states
from threedident.index.families import VERSION
from threedident.runtime.machine import processor_name
from threedident.storage.verify import verify_split

RENDERED_ON = "AMD EPYC"
DRAFT = ("--resolution", 16, "--quality", "draft", "--device", "cpu")


@pytest.fixture
def early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The early files, in the working folder."""
    with tarfile.open(Path(__file__).with_name("early.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("name", "rows"), [("data", 12), ("periodic", 4)])
def test_data_sets_open_and_every_digest_holds(early: Path, name: str, rows: int) -> None:
    for split in ("train", "test"):
        dataset = ThreeDIdent(early / name, split)
        assert verify_split(dataset.folder, True) == []
    train = ThreeDIdent(early / name)
    assert len(train) == rows
    assert train.images(range(rows)).shape == (rows, 3, 16, 16)
    assert "intact" in done_at_once("verify", "--deep", early / name)


def test_pairs_and_annotations_open(early: Path) -> None:
    train = ThreeDIdent(early / "periodic")
    assert train.latents.shape == (4, 11)
    pair = RenderedPairs(train)[0]
    assert pair.positive_image.shape == (3, 16, 16)
    assert train.mask(3).shape == train.depth(3).shape == (16, 16)


def test_packs_open_and_every_digest_holds(early: Path) -> None:
    for split in ("train", "test"):
        dataset = ThreeDIdent(early / "data", split)
        assert [state for _, state in pack_states(dataset.folder, dataset.manifest, True)] == [
            None
        ]
        pack = find_pack(dataset.folder, dataset.manifest, 16)
        assert pack is not None
        files = np.stack([pixels(dataset.folder.image(row)) for row in range(len(dataset))])
        assert np.array_equal(pack.mapped(), files)


def test_an_index_is_taken_from_the_cache(early: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(early / "cache"))
    [place] = (early / "cache").rglob("*.index")
    with place.open("rb") as file:
        made_by = json.loads(file.readline())["source"]["faiss"]
    if made_by != VERSION:
        pytest.skip(f"faiss {VERSION} makes another index than {made_by}")
    before = contents(early / "cache")
    points = np.random.default_rng(0).uniform(-1, 1, (300, 3)).astype(np.float32)
    kept = NearestLatents(points, "hnsw")
    assert contents(early / "cache") == before
    exact = NearestLatents(points, "exact").search(points, 2).indices
    assert (kept.search(points, 2).indices == exact).mean() > 0.99


def test_a_run_opens_and_goes_on(early: Path) -> None:
    run = RunFolder(early / "run")
    test = ThreeDIdent(early / "data", "test")
    for seed in (0, 1):
        codes = load_encoder(early / "run", seed)(test.images(range(len(test))))
        expected = torch.from_numpy(np.load(run.representations(seed)))
        assert torch.allclose(codes, expected, atol=1e-5)
    scores, config = json.loads(run.scores.read_text()), run.read_config()
    line = ("--data", early / "data", "--device", "cpu", "--workers", 0)
    done_at_once("benchmark", "--resume", early / "run", *line)
    assert run.read_config() == config
    assert not lost(scores, json.loads(run.scores.read_text()))


RECOMPUTED = {"nonlinear_r2", "nonlinear_r2_sd", "probe", "dci", "sha256"}  # by today's readouts


def lost(early: Any, now: Any, place: str = "scores") -> list[str]:
    """The places of what early scores hold and scores of today do not."""
    if isinstance(early, dict) and isinstance(now, dict):
        kept = early.keys() - RECOMPUTED
        return [line for key in kept for line in lost(early[key], now.get(key), f"{place}.{key}")]
    if isinstance(early, list) and isinstance(now, list) and len(early) == len(now):
        pairs = enumerate(zip(early, now, strict=True))
        return [line for i, (a, b) in pairs for line in lost(a, b, f"{place}.{i}")]
    return [] if early == now else [place]


def test_a_submission_opens(early: Path) -> None:
    folder = SubmissionFolder(early / "submissions" / "2026-11-30_old-net")
    assert len(folder.image_digests()) == 1000
    for record in folder.submission.seeds:
        assert folder.representations(record).shape == (1000, 10)
        assert folder.encoder(record)
        assert folder.read_config(record)["loss"] == "supervised"


@pytest.mark.slow
def test_a_submission_passes_the_check(early: Path) -> None:
    place = early / "submissions" / "2026-11-30_old-net"
    done_at_once("leaderboard", "check", place, "--board", early / "new-board")


def test_a_signed_row_of_a_season_that_ended_is_read_and_shown(early: Path) -> None:
    board = read_board(early / "board")
    [row] = [row for row in board.rows if isinstance(row, Entry)]
    assert row.level == "re-executed"
    assert [season.name for season in board.seasons] == ["2026-autumn"]
    assert "Old net" in page(board)
    assert "all sound" in done_at_once("leaderboard", "entries", "--board", early / "board")


@pytest.mark.slow
def test_the_same_render_command_finds_nothing_to_do(early: Path) -> None:
    before = contents(early / "data")
    line = ("render", "--n", 12, "--n-test", 40, *DRAFT, "--out", early / "data")
    assert "12 train images (0 new), 40 test images (0 new)" in succeeded(cli(*line))
    assert contents(early / "data") == before


@pytest.mark.slow
def test_a_standard_image_has_the_pixels_it_had(early: Path) -> None:
    """Bit for bit on such a processor as drew it; others may round the last level otherwise."""
    line = ("--n", 1, "--n-test", 0, "--resolution", 32, "--quality", "standard")
    succeeded(cli("render", *line, "--device", "cpu", "--out", early / "again"))
    image = Path("train", "images", "000000.png")
    now, then = early / "again" / image, early / "standard" / image
    if processor_name().startswith(RENDERED_ON):
        assert now.read_bytes() == then.read_bytes()
    assert np.abs(pixels(now).astype(int) - pixels(then)).max() <= 2
