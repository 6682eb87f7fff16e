"""The board: all rows, the seasons, and what happened to rows.

BOARD/entries/ID.json   one row each
BOARD/seasons.json      commitments, and the secrets of seasons that have ended
BOARD/changes.json      removals and corrections, with reasons
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from benchmark.leaderboard.data_record import DataRecord
from benchmark.leaderboard.entry import Change, Entry, Row, read_row, row_bytes, same_submission
from benchmark.leaderboard.seasons import Season, find_season, read_seasons
from benchmark.leaderboard.submission import Submission
from benchmark.leaderboard.texts import explained
from threedident.storage import sweep, write_bytes

OWN = Path(__file__).parent / "board"
_CHANGES = TypeAdapter(tuple[Change, ...])


@dataclass(frozen=True)
class Board:
    """Everything that the page shows.

    Arguments:
        path: its folder.
        rows: in order of their ids.
        seasons: in order.
        changes: in order.
    """

    path: Path
    rows: tuple[Row, ...]
    seasons: tuple[Season, ...]
    changes: tuple[Change, ...]

    def season(self, row: Entry) -> Season | None:
        """The published season in which a row was verified, or None where none was published."""
        if row.verification is None:
            return None
        return find_season(self.seasons, row.verification.commitment)

    def require_new(self, submission: Submission) -> None:
        """Refuse what the board has already, or cannot compare.

        Raises:
            ValueError: the id is taken or was removed, its data set differs from that of the
                board's rows, or its representations are another row's.
        """
        for change in self.changes:
            if change.change == "removed" and change.entry == submission.id:
                raise ValueError(
                    f"{submission.id}: expected a new id, found one that was removed: "
                    f"{change.reason}"
                )
        for row in self.rows:
            if same_submission(row, submission):
                continue
            if row.id == submission.id:
                raise ValueError(
                    f"{submission.id}: expected a new id, found one that the board has for "
                    "another submission; rename the folder and its id"
                )
            if isinstance(row, Entry):
                _require_same_data(row, submission.data, submission.id)
                _require_own_codes(row, submission)

    def put(self, row: Entry) -> Path:
        """Write a row, in place of an earlier one of the same submission.

        Raises:
            ValueError: it is not new.
        """
        self.require_new(row.submission)
        folder = self.path / "entries"
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        path = folder / f"{row.id}.json"
        write_bytes(path, row_bytes(row))
        return path


def read_board(path: Path) -> Board:
    """The board in a folder; one without any rows is a board, too.

    Raises:
        ValueError: an entry is damaged, forged or misnamed, or does not fit the others.
    """
    rows = []
    for file in sorted((path / "entries").glob("*.json")):
        row = read_row(file.read_bytes(), str(file))
        if file.stem != row.id:
            raise ValueError(f"{file}: expected the name {row.id}.json, as its id; rename it")
        rows.append(row)
    board = Board(path, tuple(rows), read_seasons(path / "seasons.json"), _read_changes(path))
    for row in rows:
        if isinstance(row, Entry):
            board.require_new(row.submission)
            _require_key(board, row)
        elif any(
            change.entry == row.id and change.change == "removed" for change in board.changes
        ):
            raise ValueError(f"{row.id}: expected no entry that was removed, found it; delete it")
    return board


def require_published_seasons(board: Board) -> None:
    """Refuse rows of seasons to which nobody committed in advance: trials stay at home.

    Raises:
        ValueError: there is one.
    """
    for row in board.rows:
        if isinstance(row, Entry) and row.verification is not None and not board.season(row):
            raise ValueError(
                f"{row.id}: expected a season of {board.path / 'seasons.json'}, found one whose "
                "commitment was never published; verify it with a season's secret"
            )


def _read_changes(path: Path) -> tuple[Change, ...]:
    file = path / "changes.json"
    try:
        return _CHANGES.validate_json(file.read_bytes()) if file.is_file() else ()
    except ValidationError as error:
        raise ValueError(f"{file}: expected a list of changes, but {explained(error)}") from None


def _require_key(board: Board, row: Entry) -> None:
    season = board.season(row)
    if season is not None:
        assert row.verification is not None
        found = row.verification
        if (found.public_key, found.season) != (season.public_key, season.name):
            raise ValueError(
                f"{row.id}: expected the signature of season {season.name}, found that of another "
                "key; verify it again"
            )


def _require_same_data(row: Entry, data: DataRecord, name: str) -> None:
    there = row.submission.data
    if there.id != data.id or there == data:
        return
    was, found = there.model_dump(), data.model_dump()
    field = next(field for field in was if was[field] != found[field])
    raise ValueError(
        f"{name}: expected the data set {data.id} as the board has it, found another {field} "
        f"({_spell(found[field])}, not {_spell(was[field])}); render it with the same settings"
    )


def _spell(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {str(part)[:12]}" for name, part in value.items())
    return str(value)


def _require_own_codes(row: Entry, submission: Submission) -> None:
    theirs = {record.digests.representations for record in row.submission.seeds}
    if theirs & {record.digests.representations for record in submission.seeds}:
        raise ValueError(
            f"{submission.id}: expected representations of its own, found those of {row.id}"
        )
