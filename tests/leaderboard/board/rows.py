"""Rows of a board, signed and changed by hand."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

from benchmark.leaderboard.submission.submission import Submission
from benchmark.leaderboard.verification.entry import Entry
from benchmark.leaderboard.verification.findings import GapRecord, Verification
from benchmark.leaderboard.verification.seasons import open_season
from benchmark.leaderboard.verification.secret import Secret
from tests.conftest import contents, refused_at_once
from threedident.runtime.files import sha256

TODAY = datetime.date(2026, 11, 30)
SECRET = Secret("f3a1c2d4e5b60718293a4b5c6d7e8f90")


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


def open_season_in(board: Path) -> None:
    board.mkdir(exist_ok=True)
    open_season(board / "seasons.json", "2026-autumn", SECRET, 512, TODAY)


def refused_beside(board: Path, folder: Path) -> str:
    before = contents(board)
    line = refused_at_once("leaderboard", "check", folder, "--add", "--board", board)
    assert contents(board) == before
    return line


def renamed(row: Entry, name: str, **changes: Any) -> Entry:
    """Another row with these changes of its submission, and files of its own."""
    seeds = [record.model_dump() for record in row.submission.seeds]
    for record in seeds:
        for kind in ("representations", "encoder"):
            record["digests"][kind] = sha256(f"{name} {record['seed']} {kind}".encode())
    said = {"id": f"2026-11-30_{name}", "seeds": tuple(seeds), **changes}
    submission = Submission.model_validate(row.submission.model_dump() | said)
    return row.model_copy(update={"submission": submission})


def other_images(row: Entry) -> dict[str, Any]:
    data = row.submission.data.model_dump()
    return {**data, "digests": {**data["digests"], "test": "c" * 64}}
