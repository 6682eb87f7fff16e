"""From runs to rows of the board: submit, check, verify, build."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import threedident
from benchmark.leaderboard.board.board import read_board
from benchmark.leaderboard.board.page import LEVEL_MEANINGS, page
from benchmark.leaderboard.board.standings import standings
from benchmark.leaderboard.verification.entry import Entry
from benchmark.metrics.scores import score
from tests.conftest import (
    cli,
    command,
    done_at_once,
    refused_at_once,
    succeeded,
)
from tests.leaderboard.submissions import (
    EDGE,
    change_record,
    read_record,
)
from tests.leaderboard.verification.verifying import (
    PUBLIC,
    SMALL,
    Verify,
    drawn,
    verified,
)
from tests.small_runs import run
from threedident import ThreeDIdent, load_encoder
from threedident.latents.factors import NAMES

pytestmark = pytest.mark.slow

TRACK = f"3dident-draft-{EDGE}px-60"


def test_runs_become_a_row_that_was_re_executed(
    data: Path, board: Path, verify: Verify, tmp_path: Path
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
    shown = done_at_once(*verify(folder))
    assert "re-executed" in shown
    assert f"rank 1 in {TRACK} / pairs" in shown
    assert f"next: threedident leaderboard build --board {board}" in shown
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "board", "out"]
    done_at_once("leaderboard", "build", "--board", board, "--out", tmp_path / "page.html")
    assert "Small net" in (tmp_path / "page.html").read_text()
    [standing] = standings(read_board(board))[f"{TRACK} / pairs"]
    assert (standing.row.level, standing.rank) == ("re-executed", 1)
    assert "all sound" in done_at_once("leaderboard", "entries", "--board", board)


def test_runs_on_images_with_fixed_factors_become_a_row(
    board: Path, secret: Path, tmp_path: Path
) -> None:
    """Fresh images have the same fixed factors, and scores are of the factors that vary."""
    data, held = tmp_path / "data", {"alpha": 0.0, "beta": 0.0, "gamma": 0.25}
    size = ("--n", 60, "--n-test", PUBLIC, *SMALL)
    succeeded(cli("render", *size, "--fix", "alpha=0,beta=0,gamma=0.25", "--out", data))
    run(data, tmp_path / "run", "--encoder", "conv", "--steps", 15, "--seeds", "0")
    named = ("--method", "Upright", "--data", data, "--out", tmp_path / "out")
    succeeded(cli("leaderboard", "submit", tmp_path / "run", *named))
    [folder] = (tmp_path / "out").iterdir()
    record = read_record(folder)
    assert record["data"]["fixed"] == held
    assert record["data"]["id"] == f"3dident-alpha=0-beta=0-gamma=0.25-draft-{EDGE}px-60"
    assert "--fix alpha=0,beta=0,gamma=0.25" in record["command"]
    place = ("--secret", secret, "--fresh", tmp_path / "season", "--board", board)
    done_at_once("leaderboard", "verify", folder, *place)
    [row] = read_board(board).rows
    assert isinstance(row, Entry)
    assert row.verification is not None
    fresh = ThreeDIdent(drawn(tmp_path / "season"), "test")
    free = [column for column, name in enumerate(NAMES) if name not in held]
    for name, value in held.items():
        assert set(fresh.latents[:, NAMES.index(name)]) == {np.float32(value)}
    codes = load_encoder(tmp_path / "run", 0)(fresh.images(range(len(fresh)))).numpy()
    expected = score(latents=fresh.latents[:, free], representations=codes)
    [found] = row.verification.fresh
    assert found.mcc_per_factor == pytest.approx(expected.mcc_per_factor, abs=1e-3)
    assert found.r2_per_factor == pytest.approx(expected.r2_per_factor, abs=1e-3)
    assert len(row.scores[0].mcc_per_factor) == len(free)
    assert "Upright" in page(read_board(board))


def test_a_supervised_encoder_that_claims_none_passes_and_the_page_says_so(
    linear: Path, board: Path, verify: Verify
) -> None:
    """Its word is all that there is for its supervision, whatever it was trained with."""
    row = verified(verify, board, linear)
    assert (row.level, row.supervision) == ("re-executed", "none")
    proves, leaves = LEVEL_MEANINGS["re-executed"]
    assert "trained with all latents, and claims supervision none, passes" in leaves
    assert "Only the level retrained checks it" in leaves
    text = html.unescape(page(read_board(board)))
    assert proves in text
    assert leaves in text


def test_what_lies_in_the_working_folder_is_not_run(
    single: Path, verify: Verify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever unpacks a submission and stands beside it."""
    canary = tmp_path / "executed"
    for name in ("benchmark", "threedident", "render", "onnx", "numpy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"open({str(canary)!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    done_at_once("leaderboard", "check", single.name, "--board", tmp_path / "board")
    done_at_once(*verify(single.name))
    assert not canary.exists()


def test_the_documented_submission_without_our_code(
    data: Path, record: dict[str, Any], board: Path, tmp_path: Path
) -> None:
    page = (Path(threedident.__file__).parents[1] / "docs" / "leaderboard.md").read_text()
    [example] = [
        block
        for block in re.findall(r"```python[^\n]*\n(.*?)```", page, re.DOTALL)
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


def test_a_row_that_cannot_be_put_on_the_board_is_kept(
    single: Path, board: Path, verify: Verify, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Hours of work end in a file, wherever there is room for one."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (board / "entries").write_text("a file where the folder is to be")
    line = refused_at_once(*verify(single))
    [kept] = here.iterdir()
    assert f"the signed row is kept in {kept}" in line
    (board / "entries").unlink()
    (board / "entries").mkdir()
    shutil.copy(kept, board / "entries")
    [row] = read_board(board).rows
    assert row.level == "re-executed"


@pytest.mark.parametrize(
    "place", ["/dev/full", "closed", "ascii"], ids=["full disk", "closed pipe", "ascii"]
)
def test_a_signed_row_is_written_before_it_is_shown(
    single: Path, board: Path, verify: Verify, place: str
) -> None:
    """Also one whose names are markup to a terminal."""
    change_record(single, method="Net [/] [red]x :smile: é")
    words = command(*verify(single))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii" if place == "ascii" else "utf-8"}
    if place == "ascii":
        result = subprocess.run(words, capture_output=True, env=environment)
        assert result.returncode == 0, result.stderr
        assert b"Net [/] [red]x :smile: ?" in result.stdout
    elif place == "closed":
        reader, writer = os.pipe()
        os.close(reader)
        result = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, env=environment)
        os.close(writer)
    else:
        with Path(place).open("w") as full:
            result = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, env=environment)
    assert b"Traceback" not in result.stderr
    if place == "/dev/full":
        assert b"the signed row is written, but could not be shown" in result.stderr
    [row] = read_board(board).rows
    assert row.level == "re-executed"
