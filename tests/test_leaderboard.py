"""From runs to the page: submit, check, verify on a fresh render by Blender, build."""

from __future__ import annotations

import html
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import threedident
from benchmark.leaderboard.board import read_board
from benchmark.leaderboard.data_record import describe_data
from benchmark.leaderboard.entry import Entry
from benchmark.leaderboard.page import LEVEL_MEANINGS, page
from benchmark.leaderboard.standings import standings
from benchmark.metrics import score
from tests.conftest import (
    DRAFT,
    all_ended,
    cli,
    command_line,
    contents,
    descendants,
    done_at_once,
    refused_at_once,
    start,
    wait_for,
)
from tests.runs import run
from tests.submissions import (
    EDGE,
    change_codes,
    change_encoder,
    copy_of,
    encode,
    encoder,
    make_submission,
    read_record,
    write_record,
)
from threedident import ThreeDIdent
from threedident.manifest import require_manifest
from threedident.storage import SplitFolder

SECRET = "f3a1c2d4e5b60718293a4b5c6d7e8f90"
FRESH = 256


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set drawn by Blender, with enough test images to score on."""
    root = tmp_path_factory.mktemp("data") / "set"
    result = cli("render", "--n", 60, "--n-test", 64, "--out", root, *DRAFT)
    assert result.returncode == 0, result.stderr
    return root


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the images of the season are kept, so that they are drawn once."""
    return tmp_path_factory.mktemp("season")


@pytest.fixture(scope="module")
def record(data: Path) -> dict[str, Any]:
    splits = (require_manifest(SplitFolder(data, split)) for split in ("train", "test"))
    return describe_data(*splits).model_dump(mode="json")


@pytest.fixture(scope="module")
def images(data: Path) -> np.ndarray:
    return ThreeDIdent(data, "test").images(range(64)).permute(0, 2, 3, 1).numpy()


@pytest.fixture
def board(tmp_path: Path) -> Path:
    place = tmp_path / "board"
    named = ("season", "2026-autumn", "--seed", SECRET, "--n", FRESH)
    done_at_once("leaderboard", *named, "--board", place)
    return place


@pytest.fixture
def linear(tmp_path: Path, record: dict[str, Any], images: np.ndarray) -> Path:
    """A sound submission of three linear encoders."""
    return make_submission(
        tmp_path, lambda seed: encode(images, seed), seeds=(0, 1, 2), data=record
    )


def verify(folder: Path, board: Path, season: Path, *more: object) -> tuple[object, ...]:
    shared = ("--seed", SECRET, "--fresh", season, "--board", board)
    return ("leaderboard", "verify", folder, *shared, *more)


def verified(folder: Path, board: Path, season: Path, *more: object) -> Entry:
    done_at_once(*verify(folder, board, season, *more))
    [row] = [row for row in read_board(board).rows if row.id == folder.name]
    assert isinstance(row, Entry)
    return row


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_renderer_ends_with_the_verification_at_once(
    linear: Path, board: Path, tmp_path: Path, number: signal.Signals
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    line = verify(linear, board, tmp_path / "season")
    process = start(*line, env={"TMPDIR": str(scratch)})
    tree: list[int] = []
    while not any(b"render.worker" in command_line(pid) for pid in tree):
        assert process.poll() is None
        tree = descendants(process.pid)
    process.send_signal(number)
    wait_for(lambda: all_ended(tree), 1.0)
    process.communicate()
    if number != signal.SIGKILL:
        assert process.returncode == 2
        assert list(scratch.iterdir()) == []


def test_runs_become_a_row_that_was_re_executed(
    data: Path, board: Path, season: Path, tmp_path: Path
) -> None:
    shared = ("--encoder", "conv", "--steps", 15)
    run(data, tmp_path / "a", *shared, "--seeds", "0,2")
    run(data, tmp_path / "b", *shared, "--seeds", "1")
    result = cli(
        *("leaderboard", "submit", tmp_path / "a", tmp_path / "b"),
        *("--method", "Small net", "--out", tmp_path / "out", "--licence", "MIT"),
    )
    assert result.returncode == 0, result.stderr
    [folder] = (tmp_path / "out").iterdir()
    assert folder.name.endswith("_small-net")
    found = read_record(folder)
    assert [entry["seed"] for entry in found["seeds"]] == [0, 1, 2]
    assert all(entry["wall_time_s"] > 0 and entry["hardware"] for entry in found["seeds"])
    assert (found["supervision"], found["uses_train_latents"]) == ("pairs", True)
    for seed, path in ((0, "a"), (1, "b"), (2, "a")):
        codes = np.load(folder / f"representations_seed{seed}.npy")
        kept = np.load(tmp_path / path / "representations" / f"seed-{seed}.npy")
        assert np.array_equal(codes, kept)
    done_at_once("leaderboard", "check", folder, "--board", board)
    shown = done_at_once(*verify(folder, board, season))
    assert "re-executed" in shown
    assert "rank 1 in 3dident-draft-32px-60 / pairs" in shown
    assert f"next: threedident leaderboard build --board {board}" in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "board", "out"]
    done_at_once("leaderboard", "build", "--board", board, "--out", tmp_path / "page.html")
    assert "Small net" in (tmp_path / "page.html").read_text()
    [standing] = standings(read_board(board))["3dident-draft-32px-60 / pairs"]
    assert (standing.row.level, standing.rank) == ("re-executed", 1)
    assert "all sound" in done_at_once("leaderboard", "entries", "--board", board)


@pytest.mark.filterwarnings("ignore::benchmark.remarks.FewRowsWarning")
def test_fresh_scores_are_those_of_images_that_did_not_exist(
    linear: Path, board: Path, season: Path, record: dict[str, Any], data: Path
) -> None:
    row = verified(linear, board, season)
    [drawn] = season.iterdir()
    fresh = ThreeDIdent(drawn, "test")
    assert fresh.manifest is not None
    assert fresh.manifest.rendering.fingerprint == record["fingerprint"]
    assert len(fresh) == FRESH
    assert row.verification is not None
    for found in row.verification.fresh:
        codes = encode(fresh.images(range(FRESH)).permute(0, 2, 3, 1).numpy(), found.seed)
        assert found.mcc == pytest.approx(score(fresh.latents, codes).mcc, abs=1e-4)
    assert not any(gap.suspicious for gap in row.verification.gap.values())
    seen = {tuple(latents) for latents in ThreeDIdent(data, "test").latents}
    assert not seen & {tuple(latents) for latents in fresh.latents}
    assert seen == {tuple(z) for z in ThreeDIdent(drawn, "train").latents}


def test_labels_in_place_of_codes_pass_the_check_and_not_the_verification(
    linear: Path, board: Path, season: Path, data: Path
) -> None:
    change_codes(linear, ThreeDIdent(data, "test").latents)
    assert read_record(linear)["seeds"][0]["claim"]["mcc"] == pytest.approx(1.0)
    done_at_once("leaderboard", "check", linear, "--board", board)
    before = contents(board)
    line = refused_at_once(*verify(linear, board, season))
    assert "encoder_seed0.onnx: expected the codes of" in line
    assert "drawn anew, found others" in line
    assert contents(board) == before


def test_shuffled_codes_that_are_claimed_as_they_are(
    linear: Path, board: Path, season: Path, images: np.ndarray
) -> None:
    change_codes(linear, np.ascontiguousarray(encode(images)[::-1]))
    assert "drawn anew, found others" in refused_at_once(*verify(linear, board, season))


def test_the_encoder_of_another_seed(linear: Path, board: Path, season: Path) -> None:
    change_encoder(linear, encoder(5, 32))
    assert "drawn anew, found others" in refused_at_once(*verify(linear, board, season))


def test_images_of_another_renderer(linear: Path, board: Path, season: Path) -> None:
    changed = read_record(linear)
    changed["data"]["fingerprint"] = "0" * 16
    write_record(linear, changed)
    line = refused_at_once(*verify(linear, board, season))
    assert "renderer: expected the fingerprint 0000000000000000" in line


def again_of(
    tmp_path: Path, images: np.ndarray, record: dict[str, Any], seen: int, **changes: Any
) -> Path:
    """A second training: encoders of another corner, whose scores are near where it is large."""
    return make_submission(
        tmp_path / "again",
        lambda seed: encode(images, seed, seen),
        seeds=(0, 1, 2),
        data=record,
        seen=seen,
        **changes,
    )


def test_a_second_training_raises_the_level(
    linear: Path,
    board: Path,
    season: Path,
    tmp_path: Path,
    images: np.ndarray,
    record: dict[str, Any],
) -> None:
    first = verified(linear, board, season)
    again = again_of(tmp_path, images, record, EDGE - 1)
    row = verified(linear, board, season, "--retrained", again)
    assert (first.level, row.level) == ("re-executed", "retrained")
    assert row.verification is not None
    assert row.verification.retrained is not None
    assert row.verification.fresh != row.verification.retrained.fresh
    digests = [entry["digests"]["encoder"] for entry in read_record(again)["seeds"]]
    assert list(row.verification.retrained.encoders) == digests
    assert "it is not lowered to re-executed" in refused_at_once(*verify(linear, board, season))


def test_what_is_no_second_training(
    linear: Path,
    board: Path,
    season: Path,
    tmp_path: Path,
    images: np.ndarray,
    record: dict[str, Any],
) -> None:
    copied = copy_of(linear, tmp_path / "again")
    line = refused_at_once(*verify(linear, board, season, "--retrained", copied))
    assert "expected encoders of a training of our own, found those of 2026-11-30" in line
    shutil.rmtree(tmp_path / "again")
    again = again_of(tmp_path, images, record, EDGE - 1, supervision="augmentations")
    line = refused_at_once(*verify(linear, board, season, "--retrained", again))
    assert "expected a training with the supervision of 2026-11-30_by-hand" in line


def test_a_training_that_falls_short_does_not_raise_it(
    linear: Path,
    board: Path,
    season: Path,
    tmp_path: Path,
    images: np.ndarray,
    record: dict[str, Any],
) -> None:
    again = again_of(tmp_path, images, record, 1)
    line = refused_at_once(*verify(linear, board, season, "--retrained", again))
    assert "--retrained: expected the fresh" in line
    assert "it stays re-executed" in line


def test_a_supervised_encoder_that_claims_none_passes_and_the_page_says_so(
    linear: Path, board: Path, season: Path
) -> None:
    """Its word is all that there is for its supervision, whatever it was trained with."""
    row = verified(linear, board, season)
    assert (row.level, row.supervision) == ("re-executed", "none")
    proves, leaves = LEVEL_MEANINGS["re-executed"]
    assert "trained with all latents, and claims supervision none, passes" in leaves
    assert "Only the level retrained lifts this" in leaves
    text = html.unescape(page(read_board(board)))
    assert proves in text
    assert leaves in text


def test_no_other_number_of_rows_than_the_seasons(linear: Path, board: Path) -> None:
    line = refused_at_once(
        *("leaderboard", "verify", linear, "--seed", SECRET, "--n", 64, "--board", board)
    )
    assert f"--n: expected {FRESH}, as season 2026-autumn has for all, found 64" in line


def test_what_lies_in_the_working_folder_is_not_run(
    linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever unpacks a submission and stands beside it."""
    canary = tmp_path / "executed"
    for name in ("benchmark", "threedident", "render", "onnx", "numpy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"open({str(canary)!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    done_at_once("leaderboard", "check", linear.name, "--board", tmp_path / "board")
    shared = ("--seed", "of a trial that nobody knows", "--n", 32, "--board", "board")
    done_at_once("leaderboard", "verify", linear.name, *shared)
    assert not canary.exists()


def test_the_readmes_submission_without_our_code(
    data: Path, record: dict[str, Any], board: Path, tmp_path: Path
) -> None:
    readme = (Path(threedident.__file__).parents[1] / "README.md").read_text()
    [example] = [
        block
        for block in re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
        if "A submission from plain PyTorch" in block
    ]
    (tmp_path / "plain.py").write_text(example)
    result = subprocess.run(
        [sys.executable, "plain.py", str(data), record["id"], "3"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    [folder] = (tmp_path / "submissions").iterdir()
    done_at_once("leaderboard", "check", folder, "--board", board)
    assert read_record(folder)["data"] == record


def test_too_few_fresh_rows(linear: Path, board: Path) -> None:
    line = refused_at_once(
        *("leaderboard", "verify", linear, "--seed", SECRET, "--n", 8, "--board", board)
    )
    assert "--n" in line
    line = refused_at_once(*("leaderboard", "verify", linear, "--seed", "", "--board", board))
    assert "expected the season's secret, found an empty text" in line
