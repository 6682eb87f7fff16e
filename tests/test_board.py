"""What a board takes, and what is found when somebody changes it by hand."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.leaderboard.board.board import OWN, add_row, read_board
from benchmark.leaderboard.board.pins import write_pins
from benchmark.leaderboard.board.standings import standings
from benchmark.leaderboard.sandbox.sandbox import Limits
from benchmark.leaderboard.submission.folder import SubmissionFolder
from benchmark.leaderboard.submission.submission import Submission
from benchmark.leaderboard.verification.check import check
from benchmark.leaderboard.verification.entry import Entry, Reported
from benchmark.leaderboard.verification.findings import Alike, GapRecord, SeedScores, Verification
from benchmark.leaderboard.verification.seasons import open_season, read_seasons
from benchmark.leaderboard.verification.secret import Secret
from benchmark.suites.paper import TABLES
from tests.conftest import contents, done_at_once, refused_at_once
from tests.submissions import DATA, NAME, make_submission, read_record
from threedident.runtime.files import sha256

TODAY = datetime.date(2026, 11, 30)
SECRET = Secret("f3a1c2d4e5b60718293a4b5c6d7e8f90")
OTHER = "0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b"


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """A row at level recomputed."""
    folder = make_submission(tmp_path_factory.mktemp("made"), seeds=(0, 1, 2))
    return check(SubmissionFolder(folder), Limits()).entry()


def signed(row: Entry, secret: Secret = SECRET, **changes: Any) -> Entry:
    verification = Verification(
        **{
            "level": "re-executed",
            "date": TODAY,
            "season": "2026-autumn",
            "commitment": secret.commitment,
            "public_key": secret.public_key,
            "rows": 512,
            "fingerprint": "0" * 16,
            "tolerance": 1e-4,
            "fresh": row.scores,
            "gap": {
                name: GapRecord(difference=0.0, standard_error=0.01) for name in ("r2", "mcc")
            },
            **changes,
        }
    )
    return row.verified(verification, secret)


def edited(board: Path, change: Any) -> str:
    """Why a board with a changed entry is refused."""
    path = board / "entries" / f"{NAME}.json"
    row = json.loads(path.read_text())
    change(row)
    path.write_text(json.dumps(row))
    with pytest.raises(ValueError, match="expected") as refused:
        read_board(board)
    return str(refused.value)


@pytest.fixture
def board(tmp_path: Path, checked: Entry) -> Path:
    """One signed row of a published season."""
    open_season_in(tmp_path)
    read_board(tmp_path, new=True).put(signed(checked))
    return tmp_path


def open_season_in(board: Path) -> None:
    board.mkdir(exist_ok=True)
    open_season(board / "seasons.json", "2026-autumn", SECRET, 512, TODAY)


def test_rows_survive_their_file(board: Path, checked: Entry) -> None:
    [row] = read_board(board).rows
    assert row == signed(checked)


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row["verification"]["fresh"][0].update(mcc_spearman=0.9999),
        lambda row: row["verification"]["gap"]["r2"].update(difference=0.001),
        lambda row: row["submission"].update(supervision="augmentations"),
        lambda row: row["submission"].update(method="Another"),
        lambda row: row["verification"].update(rows=5120),
        lambda row: row["verification"].update(date="2026-12-24"),
        lambda row: row["correlation"][0].__setitem__(9, 0.01),
        lambda row: row.update(signature="0" * 128),
    ],
)
def test_every_change_by_hand_breaks_the_signature(board: Path, change: Any) -> None:
    assert "expected the signature of this row" in edited(board, change)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda row: row["scores"][1].update(r2=0.9999), "expected the mean of the factors"),
        (lambda row: row["scores"][1].update(mcc_spearman=0.9), "that was claimed and checked"),
        (lambda row: row["scores"].reverse(), "expected scores of the seeds"),
        (lambda row: row["correlation"].reverse(), "expected the correlations that give"),
    ],
)
def test_scores_without_a_signature_must_fit_each_other(
    tmp_path: Path, checked: Entry, change: Any, reason: str
) -> None:
    read_board(tmp_path, new=True).put(checked)
    assert reason in edited(tmp_path, change)


def test_a_row_that_was_checked_further_is_not_lowered(board: Path, tmp_path: Path) -> None:
    folder = make_submission(tmp_path / "in", seeds=(0, 1, 2))
    assert "it is not lowered to recomputed" in refused_beside(board, folder)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rows": 64}, "expected 512 fresh rows after 2026-11-30"),
        ({"date": datetime.date(2020, 1, 1)}, "found 512 on 2020-01-01"),
        ({"season": "2027-spring"}, "expected the name and key of season 2026-autumn"),
    ],
)
def test_rows_that_their_season_would_not_have_signed(
    board: Path, checked: Entry, changes: dict[str, Any], reason: str
) -> None:
    (board / "entries" / f"{NAME}.json").write_text(signed(checked, **changes).model_dump_json())
    with pytest.raises(ValueError, match=reason):
        read_board(board)


def test_nobody_signs_for_a_season_that_has_ended(
    board: Path, checked: Entry, tmp_path: Path
) -> None:
    """Whoever knows the secret can sign; so what counts are the rows that were there."""
    path, secret = board / "seasons.json", tmp_path / "autumn.secret"
    secret.write_text(SECRET.text)
    secret.chmod(0o600)
    given = ("--secret", secret, "--board", board)
    done_at_once("leaderboard", "season", "reveal", "2026-autumn", *given)
    [season] = read_seasons(path)
    assert season.ended
    assert season.signatures == {NAME: signed(checked).signature}
    assert len(read_board(board).rows) == 1
    better = signed(checked, rows=512, date=datetime.date(2026, 12, 24))
    (board / "entries" / f"{NAME}.json").write_text(better.model_dump_json())
    with pytest.raises(ValueError, match="expected a row that existed when season 2026-autumn"):
        read_board(board)
    (board / "entries" / f"{NAME}.json").write_text(signed(checked).model_dump_json())
    folder = make_submission(tmp_path / "in", name="2026-12-24_late")
    line = refused_at_once("leaderboard", "verify", folder, *given)
    assert "expected that of an open season, found season 2026-autumn" in line


def test_only_rows_of_the_latest_season_are_ranked(board: Path, checked: Entry) -> None:
    other = Secret(OTHER)
    open_season(board / "seasons.json", "2027-spring", other, 512, TODAY)

    def named(name: str) -> Entry:
        submission = checked.submission.model_copy(update={"id": f"2026-11-30_{name}"})
        return checked.model_copy(update={"submission": submission})

    rows = (signed(checked), signed(named("newer"), other, season="2027-spring"))
    placed = {s.row.id: s for s in standings(replace(read_board(board), rows=rows))[checked.track]}
    assert placed["2026-11-30_newer"].rank == 1
    assert placed[NAME].rank is None
    assert placed[NAME].why == "verified in season 2026-autumn, not yet in 2027-spring"


def test_a_board_that_is_not_there(tmp_path: Path) -> None:
    for command in ("entries", "build"):
        line = refused_at_once("leaderboard", command, "--board", tmp_path / "none")
        assert "expected the folder of a board, found none" in line


def test_a_verification_cannot_be_added_or_lost_without_its_signature(board: Path) -> None:
    assert "expected a signature" in edited(board, lambda row: row.pop("verification"))


def test_a_key_of_ones_own(board: Path, checked: Entry) -> None:
    """Signing with another key under the commitment of the season."""
    forger = Secret(OTHER)
    forged = signed(checked, forger, commitment=SECRET.commitment)
    path = board / "entries" / f"{NAME}.json"
    path.write_text(forged.model_dump_json())
    with pytest.raises(ValueError, match="expected the name and key of season 2026-autumn"):
        read_board(board)


def test_rows_of_no_season_are_neither_written_nor_read(tmp_path: Path, checked: Entry) -> None:
    row = signed(checked)
    with pytest.raises(ValueError, match="found one whose commitment was never published"):
        read_board(tmp_path, new=True).put(row)
    assert not list(tmp_path.iterdir())
    (tmp_path / "entries").mkdir()
    (tmp_path / "entries" / f"{NAME}.json").write_text(row.model_dump_json())
    for command in ("entries", "build"):
        line = refused_at_once("leaderboard", command, "--board", tmp_path)
        assert "verify it with a season's secret" in line


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


def refused_beside(board: Path, folder: Path) -> str:
    before = contents(board)
    line = refused_at_once("leaderboard", "check", folder, "--add", "--board", board)
    assert contents(board) == before
    return line


def test_an_id_that_is_taken(board: Path, tmp_path: Path) -> None:
    folder = make_submission(tmp_path / "in", seeds=(0, 1, 2), method="Another")
    assert "expected a new id, found one that the board has" in refused_beside(board, folder)


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


def test_codes_of_another_row(board: Path, tmp_path: Path) -> None:
    folder = make_submission(tmp_path / "in", name="2026-11-30_copy")
    assert f"expected representations of its own, found those of {NAME}" in refused_beside(
        board, folder
    )


def renamed(row: Entry, name: str, **changes: Any) -> Entry:
    """Another row with these changes of its submission, and files of its own."""
    seeds = [record.model_dump() for record in row.submission.seeds]
    for record in seeds:
        for kind in ("representations", "encoder"):
            record["digests"][kind] = sha256(f"{name} {record['seed']} {kind}".encode())
    said = {"id": f"2026-11-30_{name}", "seeds": tuple(seeds), **changes}
    submission = Submission.model_validate(row.submission.model_dump() | said)
    return row.model_copy(update={"submission": submission})


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


def other_images(row: Entry) -> dict[str, Any]:
    data = row.submission.data.model_dump()
    return {**data, "digests": {**data["digests"], "test": "c" * 64}}


def test_the_first_row_does_not_say_which_images_a_name_has(board: Path, checked: Entry) -> None:
    """Whoever invents digests keeps nobody out: without a pin neither row is ranked."""
    read_board(board).put(signed(renamed(checked, "other", data=other_images(checked))))
    placed = standings(read_board(board))[checked.track]
    assert [standing.rank for standing in placed] == [None, None]
    assert all("have the same name and different images" in standing.why for standing in placed)


def test_a_pin_says_which_images_a_name_has(board: Path, checked: Entry) -> None:
    write_pins(board / "data.json", [checked.submission.data])
    assert read_board(board).pins == {DATA["id"]: checked.submission.data}
    before = contents(board)
    with pytest.raises(ValueError, match="as the board has pinned it, found another digests"):
        read_board(board).put(signed(renamed(checked, "other", data=other_images(checked))))
    assert contents(board) == before
    read_board(board).put(signed(renamed(checked, "same")))
    ranks = [standing.rank for standing in standings(read_board(board))[checked.track]]
    assert ranks == [1, 2]


@pytest.mark.parametrize("field", ["fingerprint", "n_test", "blender"])
def test_other_settings_contradict_a_pin(board: Path, checked: Entry, field: str) -> None:
    changed = {"fingerprint": "f" * 16, "n_test": 2000, "blender": "5.2.0"}[field]
    pin = checked.submission.data.model_copy(update={field: changed})
    write_pins(board / "data.json", [pin])
    with pytest.raises(ValueError, match=f"found another {field}"):
        read_board(board)


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


def test_a_data_set_is_pinned_once(board: Path, checked: Entry) -> None:
    data = checked.submission.data.model_dump(mode="json")
    (board / "data.json").write_text(json.dumps([data, data]))
    with pytest.raises(ValueError, match="expected each data set once"):
        read_board(board)


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
    pilot = [row for row in read_board(OWN).rows if isinstance(row, Entry) and row.verification]
    assert len(pilot) == 4


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


def test_scores_are_kept_to_six_digits(checked: Entry) -> None:
    for scores in checked.scores:
        assert isinstance(scores, SeedScores)
        assert scores.mcc == round(scores.mcc, 6)
    assert np.shape(checked.correlation) == (10, 10)


def test_records_that_follow_the_published_schema(tmp_path: Path) -> None:
    """The schema names the fields that the record has, and those that it must have."""
    from benchmark.leaderboard.submission.submission import Submission

    schema = json.loads((OWN.parent / "submission.schema.json").read_text())
    assert schema == Submission.model_json_schema()
    record = read_record(make_submission(tmp_path))
    assert set(schema["required"]) <= set(record) <= set(schema["properties"])
