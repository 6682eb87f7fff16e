"""The leaderboard: submissions, boards, secrets, and images that are kept for a season."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from benchmark.leaderboard.board.board import Board, read_board
from benchmark.leaderboard.board.pins import write_pins
from benchmark.leaderboard.sandbox.sandbox import Limits
from benchmark.leaderboard.submission.data import DataRecord
from benchmark.leaderboard.submission.folder import SubmissionFolder
from benchmark.leaderboard.submission.submission import read_submission
from benchmark.leaderboard.verification import fresh
from benchmark.leaderboard.verification.check import Checked, _check_configs, _scored, check
from benchmark.leaderboard.verification.entry import Entry, read_row, row_bytes
from benchmark.leaderboard.verification.findings import Kept
from benchmark.leaderboard.verification.fresh import fresh_images
from benchmark.leaderboard.verification.seasons import Season, open_season, reveal_season
from benchmark.leaderboard.verification.secret import Secret, read_secret
from benchmark.metrics.scores import score
from render.workers.plan import Plan
from tests.fuzz.damage.arrays import array_damage, array_edits
from tests.fuzz.damage.edits import Damage, any_damage, edited, text_damage
from tests.fuzz.damage.json_texts import json_damage, json_edits
from tests.fuzz.damage.pictures import picture_damage
from tests.fuzz.damage.specimens import RENDERING, make_split
from tests.fuzz.hunting import Refused, anything, hunt, same
from tests.leaderboard.board.rows import SECRET, TODAY, signed
from tests.leaderboard.submissions import DATA, make_submission, read_record, write_record
from threedident.latents.factors import LABELS
from threedident.latents.sampling import sample_raw
from threedident.storage.folder import SplitFolder
from threedident.storage.origin import Origin, rows_digest

Damages = st.SearchStrategy[Damage]


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_submission(tmp_path_factory.mktemp("s"), trainer="own", seeds=(0, 1))


def all_of(path: Path) -> list[Any]:
    """All that can be read of a submission without running its encoders."""
    folder = SubmissionFolder(path)
    _check_configs(folder)
    records = folder.submission.seeds
    return [
        folder.submission,
        folder.image_digests(),
        [folder.representations(record) for record in records],
        [folder.encoder(record) for record in records],
    ]


def test_records_of_submissions(submission: Path) -> None:
    def judge(found: list[Any], sound: list[Any]) -> None:
        assert read_submission(found[0].content(), "it") == found[0]
        same(found[1:], sound[1:])

    file = submission / "submission.json"
    hunt("submission.json", file, json_damage, lambda: all_of(submission), judge)


_FILES: list[tuple[str, Damages]] = [
    ("SHA256SUMS", text_damage),
    ("representations_seed1.npy", array_damage),
    ("config_seed1.json", json_damage),
    ("encoder_seed1.onnx", any_damage),
]


@pytest.mark.parametrize(("name", "damages"), _FILES, ids=[name for name, _ in _FILES])
def test_files_of_submissions(submission: Path, name: str, damages: Damages) -> None:
    file = submission / name
    hunt(f"submission, {name}", file, damages, lambda: all_of(submission), examples=60)


def redigested(path: Path, read: Callable[[], Any]) -> Callable[[], Any]:
    """Reads a submission whose record was written for the files that are there."""

    def read_anew() -> Any:
        try:
            write_record(path, read_record(path))
            return read()
        finally:
            record.write_bytes(before)

    record = path / "submission.json"
    before = record.read_bytes()
    return read_anew


def test_codes_that_were_submitted(submission: Path) -> None:
    latents = sample_raw(DATA["seed"], "test", DATA["n_test"])

    def scored() -> np.ndarray:
        folder = SubmissionFolder(submission)
        codes = folder.representations(folder.submission.seeds[1])
        _scored(folder, folder.submission.seeds[1], latents, codes)
        return codes

    def judge(found: np.ndarray, sound: np.ndarray) -> None:
        assert (found.dtype, found.shape) == (sound.dtype, sound.shape)
        assert np.isfinite(found).all()

    file = submission / "representations_seed1.npy"
    hunt("codes", file, edited(array_edits), redigested(submission, scored), judge, examples=30)


def test_configurations_that_were_submitted(submission: Path) -> None:
    read = redigested(submission, lambda: all_of(submission)[:1])
    file = submission / "config_seed1.json"
    hunt("configuration", file, edited(json_edits), read, anything, examples=60)


def test_encoders_that_were_submitted(tmp_path: Path) -> None:
    """Each is parsed and run in a process of its own, which takes half a second."""
    path = make_submission(tmp_path, trainer="own")

    def checked() -> None:
        check(SubmissionFolder(path), Limits(seconds=2))

    allowed = frozenset({"subprocess.Popen", "os.posix_spawn", "os.fork"})
    file = path / "encoder_seed0.onnx"
    hunt(
        "encoder",
        file,
        edited(),
        redigested(path, checked),
        anything,
        examples=4,
        allowed=allowed,
        seconds=30.0,
    )


@pytest.fixture(scope="module")
def board(submission: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of one row that was verified in a season, and of another season that has ended."""
    path = tmp_path_factory.mktemp("b") / "board"
    (path / "entries").mkdir(parents=True)
    folder, latents = SubmissionFolder(submission), sample_raw(0, "test", DATA["n_test"])
    codes = [folder.representations(record) for record in folder.submission.seeds]
    scores = [score(latents=latents, representations=each, labels=LABELS) for each in codes]
    found = Checked(folder, latents, codes, scores).entry()
    kept = Kept.of(latents[:512], [each[:512] for each in codes], SECRET, found.id)
    row = signed(found, kept=kept)
    assert row.verification is not None
    (path / "entries" / f"{row.id}.json").write_bytes(row_bytes(row))
    seasons, other = path / "seasons.json", Secret("0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d")
    open_season(seasons, row.verification.season, SECRET, row.verification.rows, TODAY)
    open_season(seasons, "2025-spring", other, 100, TODAY)
    reveal_season(seasons, "2025-spring", other, {"2025-01-01_other": "a" * 128})
    write_pins(path / "data.json", [DataRecord.model_validate(DATA)])
    (path / "changes.json").write_text(
        '[{"date": "2026-11-01", "entry": "2026-01-01_gone", "change": "removed", '
        '"reason": "It copied codes."}]'
    )
    return path


def judge_board(found: Board, sound: Board) -> None:
    for row in found.rows:
        if not isinstance(row, Entry) or row.verification is None:
            assert read_row(row_bytes(row), "it") == row
        else:
            assert row == sound.rows[0], "an altered row that was signed"
    for season in found.seasons:
        assert Season.model_validate_json(season.model_dump_json()) == season
    assert all(isinstance(change.date, datetime.date) for change in found.changes)


@pytest.mark.parametrize("name", ["entries/*", "seasons.json", "changes.json", "data.json"])
def test_boards(board: Path, name: str) -> None:
    [file] = board.glob(name)
    hunt(f"board, {name}", file, json_damage, lambda: read_board(board), judge_board, place=board)


def test_secrets(tmp_path: Path) -> None:
    text = "f3a1c2d4e5b60718293a4b5c6d7e8f90"
    path = tmp_path / "a.secret"
    path.write_text(text + "\n")

    def read() -> str:
        try:
            return read_secret(path).text
        except ValueError as error:
            told = [text[i : i + 8] for i in range(24) if text[i : i + 8] in str(error)]
            raise AssertionError("the secret is told") if told else error from None

    def judge(found: str, _sound: str) -> None:
        assert Secret(found).text == found

    hunt("secret", path, text_damage, read, judge)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the images of a season are kept."""
    keep, data = tmp_path_factory.mktemp("k"), DataRecord.model_validate(DATA)

    def render(root: Path, *_: object, **__: object) -> None:
        rendering = RENDERING.model_copy(update={"annotations": ()})
        public = np.load(root / "public_rows.npy")
        origin, raw = Origin(split="train", rows=rows_digest(public)), public
        if (root / "train").is_dir():
            origin = Origin(split="test", seed=SECRET.number("fresh split"))
            raw = origin.draw(6)
        plan = Plan(origin=origin, rendering=rendering)
        make_split(SplitFolder(root, origin.split), plan, raw)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fresh, "_render", render)
        with fresh_images(data, SECRET, 6, keep):
            pass
    [root] = keep.iterdir()
    return root


_KEPT: list[tuple[str, Damages]] = [
    ("seal", text_damage),
    ("train/dataset.json", json_damage),
    ("test/raw_latents.npy", array_damage),
    ("test/sizes.npy", array_damage),
    ("train/SHA256SUMS", text_damage),
    ("test/images/000003.png", picture_damage),
]


@pytest.mark.parametrize(("name", "damages"), _KEPT, ids=[name for name, _ in _KEPT])
def test_kept_images(
    kept: Path, name: str, damages: Damages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damaged ones are refused or drawn again, which here is a refusal as well."""

    def refuse(*_: object, **__: object) -> None:
        raise Refused("kept: expected as drawn, found damaged")

    monkeypatch.setattr(fresh, "shutil", SimpleNamespace(rmtree=refuse))  # before it draws again

    def read() -> list[Any]:
        with fresh_images(DataRecord.model_validate(DATA), SECRET, 6, kept.parent) as found:
            return [found.latents, found.images(16), found.public_digests, found.public_images(8)]

    hunt(f"kept {name}", kept / name, damages, read, place=kept, examples=20)
