"""The board: all rows, the seasons, and what happened to rows.

BOARD/entries/ID.json   one row each
BOARD/seasons.json      commitments, and the secrets of seasons that have ended
BOARD/changes.json      removals and corrections, with reasons
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from benchmark.leaderboard.data_record import DataRecord
from benchmark.leaderboard.entry import LEVELS, Change, Entry, Level, Row, read_row, row_bytes
from benchmark.leaderboard.seasons import Season, find_season, read_seasons
from benchmark.leaderboard.submission import Submission
from benchmark.leaderboard.texts import explained
from threedident.nearby import advise
from threedident.storage import read_plain, sweep, write_bytes

OWN = Path(__file__).parent / "board"
_MOST_ENTRY = 10**7  # bytes
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
                board's verified rows, or its representations are another row's.
        """
        name = submission.id
        if name in self.removed:
            raise ValueError(
                f"{name}: expected a new id, found one that was removed: {self.removed[name]}"
            )
        there = self._by_id.get(name)
        if there is not None and not (isinstance(there, Entry) and there.submission == submission):
            raise ValueError(
                f"{name}: expected a new id, found one that the board has for another submission; "
                "rename the folder and its id"
            )
        _require_same_data(self._data.get(submission.data.id), submission.data, name)
        for record in submission.seeds:
            owner = self._by_codes.get(record.digests.representations, name)
            if owner != name:
                raise ValueError(
                    f"{name}: expected representations of its own, found those of {owner}"
                )

    def require_not_lowered(self, name: str, level: Level) -> None:
        """Refuse a level below that which a row has.

        Raises:
            ValueError: it is.
        """
        there = self._by_id.get(name)
        if there is not None and LEVELS.index(there.level) > LEVELS.index(level):
            raise ValueError(
                f"{name}: expected no row that was checked further, found it {there.level}; it is "
                f"not lowered to {level}"
            )

    def put(self, row: Entry) -> Path:
        """Write a row, in place of an earlier one of the same submission.

        Raises:
            ValueError: it is not new, or was checked further before.
        """
        self.require_new(row.submission)
        self.require_not_lowered(row.id, row.level)
        folder = self.path / "entries"
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder)
        path = folder / f"{row.id}.json"
        write_bytes(path, row_bytes(row))
        return path

    @cached_property
    def _by_id(self) -> dict[str, Row]:
        return {row.id: row for row in self.rows}

    @cached_property
    def _by_codes(self) -> dict[str, str]:
        """The first row that has representations of a digest."""
        found: dict[str, str] = {}
        for row in self.rows:
            for record in row.submission.seeds if isinstance(row, Entry) else ():
                found.setdefault(record.digests.representations, row.id)
        return found

    @cached_property
    def _data(self) -> dict[str, DataRecord]:
        """Data sets as the first verified row of each has them: others anybody could invent."""
        found: dict[str, DataRecord] = {}
        for row in self.rows:
            if isinstance(row, Entry) and row.verification is not None:
                found.setdefault(row.submission.data.id, row.submission.data)
        return found

    @cached_property
    def removed(self) -> dict[str, str]:
        """The reasons of removals, by id."""
        return {c.entry: c.reason for c in self.changes if c.change == "removed"}


def read_board(path: Path, new: bool = False) -> Board:
    """The board in a folder.

    Arguments:
        path: of the folder.
        new: whether there may be none yet.

    Raises:
        ValueError: there is none, or an entry is damaged, forged or misnamed, or does not fit the
            others.
    """
    if not new and not _is_board(path):
        advice = advise(path, _is_board, "check the path")
        raise ValueError(f"{path}: expected the folder of a board, found none; {advice}")
    rows = []
    for file in sorted((path / "entries").glob("*.json")):
        row = read_row(read_plain(file, _MOST_ENTRY), str(file))
        if file.stem != row.id:
            raise ValueError(f"{file}: expected the name {row.id}.json, as its id; rename it")
        rows.append(row)
    board = Board(path, tuple(rows), read_seasons(path / "seasons.json"), _read_changes(path))
    for row in rows:
        if row.id in board.removed:
            raise ValueError(f"{row.id}: expected no entry that was removed, found it; delete it")
        if isinstance(row, Entry):
            board.require_new(row.submission)
            _require_season(board, row)
    return board


def _is_board(path: Path) -> bool:
    return any((path / name).exists() for name in ("entries", "seasons.json"))


def season_signatures(board: Board, name: str) -> dict[str, str]:
    """The signatures of all rows of a season, by id."""
    return {
        row.id: row.signature or ""
        for row in board.rows
        if isinstance(row, Entry) and row.verification and row.verification.season == name
    }


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


def _require_season(board: Board, row: Entry) -> None:
    """Refuse a row that is not what its published season signed."""
    season, found = board.season(row), row.verification
    if season is None or found is None:
        return
    if (found.public_key, found.season) != (season.public_key, season.name):
        raise ValueError(
            f"{row.id}: expected the name and key of season {season.name}, found others; verify "
            "it again"
        )
    if found.rows != season.rows or found.date < season.opened:
        raise ValueError(
            f"{row.id}: expected {season.rows} fresh rows after {season.opened}, as season "
            f"{season.name} has, found {found.rows} on {found.date}; verify it again"
        )
    if season.signatures is not None and season.signatures.get(row.id) != row.signature:
        raise ValueError(
            f"{row.id}: expected a row that was there when season {season.name} ended, found "
            "another, which anybody could sign; verify it in a season that goes on"
        )


def _require_same_data(there: DataRecord | None, data: DataRecord, name: str) -> None:
    if there is None or there == data:
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
