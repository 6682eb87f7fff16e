"""The files of a board, and who may write what there."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from benchmark.leaderboard.board.board import OWN, add_row, read_board
from benchmark.leaderboard.board.standings import standings
from benchmark.leaderboard.submission.submission import Submission
from benchmark.leaderboard.verification.entry import Entry, Reported
from benchmark.leaderboard.verification.findings import Alike
from benchmark.suites.paper import TABLES
from tests.conftest import done_at_once, refused_at_once
from tests.leaderboard.board.rows import (
    open_season_in,
    other_images,
    refused_beside,
    renamed,
    signed,
)
from tests.leaderboard.submissions import NAME, make_submission

REPORTED: dict[str, Any] = {
    "schema_version": 1,
    "kind": "reported",
    "id": "2021-02-17_theirs",
    "method": "Theirs",
    "paper": "https://arxiv.org/abs/2102.08850",
    "data": "3DIdent",
    "supervision": "pairs",
    "seeds": 3,
    "r2": {"mean": 0.9, "sd": 0.1},
}


def test_a_board_that_is_not_there(tmp_path: Path) -> None:
    for command in ("entries", "build"):
        line = refused_at_once("leaderboard", command, "--board", tmp_path / "none")
        assert "expected the folder of a board, found none" in line


def test_a_misnamed_entry(board: Path) -> None:
    entries = board / "entries"
    (entries / f"{NAME}.json").rename(entries / "2026-11-30_else.json")
    with pytest.raises(ValueError, match=f"expected the name {NAME}.json"):
        read_board(board)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_an_entry_that_is_no_plain_file(board: Path, kind: str) -> None:
    path = board / "entries" / "2026-12-01_else.json"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    line = refused_at_once("leaderboard", "entries", "--board", board)
    assert f"{path}: expected a plain file, found another kind; replace it" in line


@pytest.mark.parametrize("content", [b"", b"{}", b'{"kind": "else"}', b'{"schema_version": 9}'])
def test_damaged_entries(board: Path, content: bytes) -> None:
    (board / "entries" / f"{NAME}.json").write_bytes(content)
    with pytest.raises(ValueError, match="expected"):
        read_board(board)


@pytest.mark.slow
def test_an_id_that_is_taken(board: Path, tmp_path: Path) -> None:
    folder = make_submission(tmp_path / "in", seeds=(0, 1, 2), method="Another")
    assert "expected a new id, found one that the board has" in refused_beside(board, folder)


@pytest.mark.slow
def test_an_id_that_was_removed(board: Path, tmp_path: Path) -> None:
    (board / "entries" / f"{NAME}.json").unlink()
    change = {"date": "2026-12-01", "entry": NAME, "change": "removed", "reason": "Copied codes."}
    (board / "changes.json").write_text(json.dumps([change]))
    folder = make_submission(tmp_path / "in", seeds=(0, 1, 2))
    assert "found one that was removed: Copied codes." in refused_beside(board, folder)


def test_a_removed_row_that_is_still_there(board: Path) -> None:
    change = {"date": "2026-12-01", "entry": NAME, "change": "removed", "reason": "Why."}
    (board / "changes.json").write_text(json.dumps([change]))
    with pytest.raises(ValueError, match="expected no entry that was removed, found it"):
        read_board(board)


@pytest.mark.slow
def test_codes_of_another_row(board: Path, tmp_path: Path) -> None:
    folder = make_submission(tmp_path / "in", name="2026-11-30_copy")
    assert f"expected representations of its own, found those of {NAME}" in refused_beside(
        board, folder
    )


def test_a_copy_that_was_recomputed_first_does_not_keep_its_author_out(
    tmp_path: Path, checked: Entry
) -> None:
    """And no copy stands beside a row that was re-executed."""
    open_season_in(tmp_path)
    copied = {"id": "2026-11-29_copy", "date": datetime.date(2026, 11, 29)}
    copy = checked.model_copy(update={"submission": checked.submission.model_copy(update=copied)})
    add_row(tmp_path, copy)
    with pytest.raises(ValueError, match="expected representations of its own, found those of"):
        add_row(tmp_path, checked)
    add_row(tmp_path, signed(checked))
    assert [row.level for row in read_board(tmp_path).rows] == ["recomputed", "re-executed"]
    with pytest.raises(ValueError, match=f"found those of {NAME}"):
        add_row(tmp_path, signed(copy))
    taken = renamed(checked, "encoder").submission.model_dump()
    for record, there in zip(taken["seeds"], checked.submission.seeds, strict=True):
        record["digests"]["encoder"] = there.digests.encoder
    row = checked.model_copy(update={"submission": Submission.model_validate(taken)})
    with pytest.raises(ValueError, match=f"expected encoder of its own, found those of {NAME}"):
        add_row(tmp_path, row)


def test_a_verified_copy_that_is_not_ranked_does_not_keep_its_author_out(
    tmp_path: Path, checked: Entry
) -> None:
    """It lacks seeds, so it has no rank. It stays, and no other such copy joins it."""
    open_season_in(tmp_path)

    def copied(name: str) -> Entry:
        said = {"id": f"2026-11-30_{name}", "seeds": checked.submission.seeds[:1]}
        submission = checked.submission.model_copy(update=said)
        parts = {"submission": submission, "scores": checked.scores[:1]}
        return signed(checked.model_copy(update=parts))

    add_row(tmp_path, copied("first"))
    add_row(tmp_path, signed(checked))
    board = read_board(tmp_path)
    placed = {s.row.id: s.rank for s in standings(board)[checked.track]}
    assert placed == {NAME: 1, "2026-11-30_first": None}
    with pytest.raises(ValueError, match=f"found those of {NAME}"):
        add_row(tmp_path, copied("second"))


@pytest.mark.slow
def test_writers_of_one_board_wait_for_each_other(tmp_path: Path, checked: Entry) -> None:
    open_season_in(tmp_path)
    names = [f"row-{number}" for number in range(8)]
    failed: list[Exception] = []

    def add(name: str) -> None:
        try:
            add_row(tmp_path, signed(renamed(checked, name)))
        except Exception as error:  # in a thread of its own, where nobody sees it
            failed.append(error)

    threads = [threading.Thread(target=add, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(read_board(tmp_path).rows) == len(names)


def test_hidden_files_beside_entries_are_passed_over(board: Path) -> None:
    (board / "entries" / ".2026-11-30_x.json").write_text("of an editor")
    assert len(read_board(board).rows) == 1


def test_a_liar_that_is_not_ranked_keeps_nobody_out(board: Path, checked: Entry) -> None:
    alike = Alike(seeds=(0, 1), of="weights", share=1.0)
    liar = renamed(checked, "liar", data=other_images(checked)).model_copy(
        update={"alike": (alike,)}
    )
    path = board / "entries" / f"{liar.id}.json"
    path.write_text(signed(liar).model_dump_json(exclude_none=True))
    placed = {s.row.id: s.rank for s in standings(read_board(board))[checked.track]}
    assert placed == {NAME: 1, liar.id: None}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("data.json", b'[{"id": "a", "id": "a"}]'),
        ("changes.json", b'[{"entry": "a", "entry": "b"}]'),
        ("seasons.json", b'[{"name": "a", "name": "b"}]'),
        ("data.json", b"[" * 100_000),
        ("changes.json", b"{}"),
        ("seasons.json", b"\xff"),
        ("seasons.json", b'[{"rows": ' + b"1" * 9_999 + b"}]"),
    ],
    ids=repr,
)
def test_files_of_a_board_that_are_damaged(board: Path, file: str, content: bytes) -> None:
    (board / file).write_bytes(content)
    for command in (("entries",), ("build", "--out", board / "page.html")):
        line = refused_at_once("leaderboard", *command, "--board", board)
        assert f"{file}: expected" in line
        assert len(line) < 700
    assert not (board / "page.html").exists()


@pytest.mark.parametrize("file", ["data.json", "changes.json", "seasons.json"])
def test_pipes_in_place_of_files_of_a_board(board: Path, file: str) -> None:
    (board / file).unlink(missing_ok=True)
    os.mkfifo(board / file)
    line = refused_at_once("leaderboard", "entries", "--board", board)
    assert f"{file}: expected a plain file, found another kind" in line


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"id": "0001-01-01_theirs"}, "at reported.id:"),
        ({"id": "9999-12-31_theirs"}, "at reported.id:"),
        ({"id": "2021-13-01_theirs"}, "at reported.id:"),
        ({"seeds": 10**4000}, "at reported.seeds:"),
        ({"seeds": 0}, "at reported.seeds:"),
        ({"r2": {"mean": 0.9, "sd": 1e308}}, "at reported.r2.sd:"),
        ({"r2": {"mean": -1e308}}, "at reported.r2.mean:"),
        ({"method": "\x1b[2J"}, "at reported.method:"),
        ({"kind": "x" * 100_000}, "at the top: Input tag 'xxx"),
        ({"\x1b[2J" + "k" * 10**5: 1}, "at reported.?[2Jkk"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_reported_rows_stay_within_bounds(
    tmp_path: Path, change: dict[str, Any], place: str
) -> None:
    def write(row: dict[str, Any]) -> None:
        (tmp_path / "entries" / f"{row['id']}.json").write_text(json.dumps(row))

    (tmp_path / "entries").mkdir()
    write(REPORTED)
    [row] = read_board(tmp_path).rows
    assert row.id == REPORTED["id"]
    write({**REPORTED, **change})
    line = refused_at_once("leaderboard", "entries", "--board", tmp_path)
    assert place in line
    assert line.isprintable()
    assert len(line) < 700


@pytest.mark.slow
def test_the_same_submission_may_be_checked_again(board: Path, tmp_path: Path) -> None:
    folder = make_submission(tmp_path / "in", seeds=(0, 1, 2))
    done_at_once("leaderboard", "check", folder, "--board", board)


def test_the_papers_rows_are_those_of_its_table() -> None:
    reported = {row.id: row for row in read_board(OWN).rows if isinstance(row, Reported)}
    table = {row.name: row for row in TABLES["table4"].rows}
    assert {name.removeprefix("2021-02-17_zimmermann-") for name in reported} == set(table)
    for name, row in table.items():
        found = reported[f"2021-02-17_zimmermann-{name}"]
        for score in ("r2", "mcc"):
            figure, paper = getattr(found, score), row.paper.get(score)
            assert (figure is None) == (paper is None)
            if figure is not None and paper is not None:
                assert 100 * figure.mean == pytest.approx(paper.mean)
                assert 100 * figure.sd == pytest.approx(paper.sd)


def test_every_entry_of_the_repository_is_sound() -> None:
    rows = [row for row in read_board(OWN).rows if isinstance(row, Entry)]
    seasons = Counter(row.verification.season for row in rows if row.verification)
    assert seasons == {"2026-pilot": 4, "2026-autumn": 6}


@pytest.mark.slow
def test_rows_that_left_the_repository_have_their_reason() -> None:
    """Whoever deletes an entry says why, for everybody to read."""
    folder = (OWN / "entries").relative_to(OWN.parents[2])
    command = ["git", "log", "--diff-filter=D", "--no-renames", "--name-only", "--format="]
    history = subprocess.run(
        [*command, "--", str(folder)], cwd=OWN.parents[2], capture_output=True, text=True
    )
    if history.returncode:
        pytest.skip("needs the project's history")
    gone = {Path(line).stem for line in history.stdout.split()}
    board = read_board(OWN)
    assert gone - {row.id for row in board.rows} <= set(board.removed)
