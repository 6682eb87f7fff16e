"""Signatures of rows, and the seasons that they belong to."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.leaderboard.board.board import OWN, read_board
from benchmark.leaderboard.board.standings import standings
from benchmark.leaderboard.submission.submission import Submission
from benchmark.leaderboard.verification.entry import Entry
from benchmark.leaderboard.verification.findings import SeedScores
from benchmark.leaderboard.verification.seasons import open_season, read_seasons
from benchmark.leaderboard.verification.secret import Secret
from tests.conftest import done_at_once, refused_at_once
from tests.leaderboard.board.rows import (
    SECRET,
    TODAY,
    refused_beside,
    signed,
)
from tests.leaderboard.submissions import NAME, make_submission, read_record

OTHER = "0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b"


def edited(board: Path, change: Any) -> str:
    """Why a board with a changed entry is refused."""
    path = board / "entries" / f"{NAME}.json"
    row = json.loads(path.read_text())
    change(row)
    path.write_text(json.dumps(row))
    with pytest.raises(ValueError, match="expected") as refused:
        read_board(board)
    return str(refused.value)


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


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_scores_are_kept_to_six_digits(checked: Entry) -> None:
    for scores in checked.scores:
        assert isinstance(scores, SeedScores)
        assert scores.mcc == round(scores.mcc, 6)
    assert np.shape(checked.correlation) == (10, 10)


@pytest.mark.slow
def test_records_that_follow_the_published_schema(tmp_path: Path) -> None:
    """The schema names the fields that the record has, and those that it must have."""

    schema = json.loads((OWN.parent / "submission" / "submission.schema.json").read_text())
    assert schema == Submission.model_json_schema()
    record = read_record(make_submission(tmp_path))
    assert set(schema["required"]) <= set(record) <= set(schema["properties"])
