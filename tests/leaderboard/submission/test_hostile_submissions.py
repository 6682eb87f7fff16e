"""Submissions with strange files."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import done_at_once, refused_at_once
from tests.leaderboard.submission.strange import CODES_FILE
from tests.leaderboard.submissions import (
    NAME,
    QUICK,
    change_file,
    make_submission,
    read_record,
    refusal,
    write_record,
)

ENCODER_FILE = "encoder_seed0.onnx"


class Canary:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_sound_submission_is_taken(folder: Path, board: Path) -> None:
    done_at_once("leaderboard", "check", folder, "--add", "--board", board)
    entry = json.loads((board / "entries" / f"{NAME}.json").read_text())
    assert "verification" not in entry


def test_pickled_codes_are_never_loaded(folder: Path, board: Path, tmp_path: Path) -> None:
    canary = tmp_path / "executed"
    held = np.empty(1, object)
    held[0] = Canary(canary)
    with (folder / CODES_FILE).open("wb") as file:
        np.save(file, held, allow_pickle=True)
    write_record(folder, read_record(folder))
    assert "pickled objects, which are never loaded" in refusal(folder, board)
    assert not canary.exists()


def test_a_pickle_under_the_name_of_codes(folder: Path, board: Path, tmp_path: Path) -> None:
    canary = tmp_path / "executed"
    change_file(folder, CODES_FILE, pickle.dumps(Canary(canary)))
    assert "expected a plain npy array" in refusal(folder, board)
    assert not canary.exists()


def test_a_pickle_under_the_name_of_an_encoder(folder: Path, board: Path, tmp_path: Path) -> None:
    canary = tmp_path / "executed"
    change_file(folder, ENCODER_FILE, pickle.dumps(Canary(canary)))
    assert "expected an ONNX model, found none" in refusal(folder, board)
    assert not canary.exists()


@pytest.mark.parametrize("name", ["model.pt", "model.pt2", "codes.npz", "README.md", "setup.py"])
def test_files_that_no_submission_has(folder: Path, board: Path, name: str) -> None:
    (folder / name).write_bytes(b"anything")
    assert f"alone, found '{name}'; take it out" in refusal(folder, board)


@pytest.mark.slow
def test_a_zip_bomb_in_place_of_codes(folder: Path, board: Path) -> None:
    with zipfile.ZipFile(folder / CODES_FILE, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", b"\0" * 10**9)
    write_record(folder, read_record(folder))
    assert "expected at most" in refusal(folder, board)
    change_file(folder, CODES_FILE, (folder / CODES_FILE).read_bytes()[:3000])
    assert "expected a plain npy array" in refusal(folder, board)


@pytest.mark.parametrize("name", ["submission.json", CODES_FILE, ENCODER_FILE])
def test_links(folder: Path, board: Path, name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    shutil.move(folder / name, secret)
    (folder / name).symlink_to(secret)
    assert "expected plain files alone, found a link" in refusal(folder, board)


def test_a_linked_folder(folder: Path, board: Path, tmp_path: Path) -> None:
    moved = folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(moved)
    assert "expected the folder of a submission, found a link" in refusal(folder, board)


def test_folders_and_pipes_within(folder: Path, board: Path) -> None:
    (folder / CODES_FILE).unlink()
    (folder / CODES_FILE).mkdir()
    assert "found a folder" in refusal(folder, board)
    (folder / CODES_FILE).rmdir()
    os.mkfifo(folder / CODES_FILE)
    line = refused_at_once("leaderboard", "check", folder, "--board", board, *QUICK)
    assert "found a device" in line


def test_a_missing_file(folder: Path, board: Path) -> None:
    (folder / ENCODER_FILE).unlink()
    assert f"{ENCODER_FILE}: expected a file, found nothing" in refusal(folder, board)


def test_no_folder(board: Path) -> None:
    assert "expected the folder of a submission, found nothing" in refusal(board / "no", board)


def test_a_huge_encoder(folder: Path, board: Path) -> None:
    with (folder / ENCODER_FILE).open("r+b") as file:
        file.truncate(2**40)  # of which the disk holds nothing
    line = refused_at_once("leaderboard", "check", folder, "--board", board, *QUICK)
    assert "expected at most 537 MB, found 1.1 TB" in line


def test_a_huge_record(folder: Path, board: Path) -> None:
    (folder / "submission.json").write_bytes(b" " * (10**6 + 1))
    assert "submission.json: expected at most 1 MB" in refusal(folder, board)


@pytest.mark.parametrize("name", [CODES_FILE, ENCODER_FILE, "config_seed0.json"])
def test_files_that_the_record_does_not_name(folder: Path, board: Path, name: str) -> None:
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert f"{name}: expected the file of digest" in refusal(folder, board)


@pytest.mark.slow
def test_one_training_handed_in_as_three(tmp_path: Path, board: Path) -> None:
    folder = make_submission(tmp_path / "in", seeds=(0, 1, 2))
    for kind in ("representations", "encoder"):
        suffix = "npy" if kind == "representations" else "onnx"
        for seed in (1, 2):
            shutil.copy(folder / f"{kind}_seed0.{suffix}", folder / f"{kind}_seed{seed}.{suffix}")
    record = read_record(folder)
    for entry in record["seeds"]:
        entry["claim"] = record["seeds"][0]["claim"]
    write_record(folder, record)
    assert "of its own for each seed, found one twice" in refusal(folder, board)


@pytest.mark.parametrize("name", [".payload.deadbeef.tmp", ".hidden", "\x1b]0;title\x07"])
def test_names_of_files_are_shown_without_effect(folder: Path, board: Path, name: str) -> None:
    (folder / name).write_bytes(b"")
    line = refusal(folder, board)
    assert "alone, found" in line
    assert line.isprintable()


@pytest.mark.parametrize("version", [(3, 0), (9, 9)])
def test_npy_files_of_other_versions(folder: Path, board: Path, version: tuple[int, int]) -> None:
    content = bytearray((folder / CODES_FILE).read_bytes())
    content[6:8] = bytes(version)
    change_file(folder, CODES_FILE, bytes(content))
    assert "expected a plain npy array" in refusal(folder, board)


@pytest.mark.parametrize(
    "limit", [("--memory-limit", "inf"), ("--memory-limit", "nan"), ("--time-limit", "1" * 12)]
)
def test_limits_that_are_none(folder: Path, board: Path, limit: tuple[str, str]) -> None:
    line = refused_at_once("leaderboard", "check", folder, "--board", board, *limit)
    assert limit[0] in line
