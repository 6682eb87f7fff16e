"""The board: all rows, the seasons, and the changes of rows.

BOARD/entries/ID.json   one file for each row
BOARD/seasons.json      commitments, and the secrets of seasons that have ended
BOARD/data.json         data sets that maintainers rendered themselves, with their digests
BOARD/changes.json      removals and corrections, with reasons
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import TypeAdapter

from benchmark.leaderboard.board.pins import read_pins, require_same_data
from benchmark.leaderboard.record import read_records
from benchmark.leaderboard.submission.data import DataRecord
from benchmark.leaderboard.submission.submission import Submission
from benchmark.leaderboard.verification.entry import (
    LEVELS,
    Change,
    Entry,
    Level,
    Row,
    read_row,
    row_bytes,
)
from benchmark.leaderboard.verification.seasons import Season, find_season, read_seasons
from threedident.runtime.errors import advise
from threedident.runtime.files import locked, read_plain, sweep, write_bytes

OWN = Path(__file__).parent
_OWN_FILES = ("representations", "encoder")
_MOST_ENTRY = 10**7  # bytes
_CHANGES = TypeAdapter(tuple[Change, ...])


@dataclass(frozen=True)
class Board:
    """The content of a board.

    Arguments:
        path: its folder.
        rows: rows in order of their ids.
        seasons: seasons in the order of the file.
        changes: changes in the order of the file.
        pins: pinned data sets by id.
    """

    path: Path
    rows: tuple[Row, ...]
    seasons: tuple[Season, ...]
    changes: tuple[Change, ...]
    pins: dict[str, DataRecord]

    def season(self, row: Entry) -> Season | None:
        """The published season in which a row was verified, or None."""
        if row.verification is None:
            return None
        return find_season(self.seasons, row.verification.commitment)

    def require_new(self, submission: Submission, level: Level) -> None:
        """Check that a submission is new to the board.

        A copy does not prevent the author of its codes from being ranked: only rows that can be
        ranked prevent others from being verified.

        Arguments:
            submission: submission of the new row.
            level: level of the new row.

        Raises:
            ValueError: the id is taken or was removed, the data set differs from the pinned one
                with the same id, or representations or encoders belong to another row.
        """
        self._require_place(submission)
        owners = self._owned if level == "recomputed" else self._rankable
        self._require_own_files(submission, owners)

    def _require_place(self, submission: Submission) -> None:
        """Check that the id is not taken, and that the data set does not contradict a pin.

        Raises:
            ValueError: the id is taken or was removed, or the data set differs from the pinned
                one.
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
        pin = self.pins.get(submission.data.id)
        if pin is not None:
            require_same_data(pin, submission.data, name)

    def _require_own_files(self, submission: Submission, owners: Mapping[str, str]) -> None:
        for record in submission.seeds:
            for kind in _OWN_FILES:
                owner = owners.get(getattr(record.digests, kind), submission.id)
                if owner != submission.id:
                    raise ValueError(
                        f"{submission.id}: expected {kind} of its own, found those of {owner}"
                    )

    def require_not_lowered(self, name: str, level: Level) -> None:
        """Check that a new level is not below the present level of a row.

        Raises:
            ValueError: the new level is lower.
        """
        there = self._by_id.get(name)
        if there is not None and LEVELS.index(there.level) > LEVELS.index(level):
            raise ValueError(
                f"{name}: expected no row that was checked further, found it {there.level}; it is "
                f"not lowered to {level}"
            )

    def require_sound(self, row: Row) -> None:
        """Check that a row fits the other rows and its season.

        Raises:
            ValueError: the row was removed, contradicts another row, or does not fit its season.
        """
        if row.id in self.removed:
            raise ValueError(f"{row.id}: expected no entry that was removed, found it; delete it")
        if isinstance(row, Entry):
            self._require_place(row.submission)
            if row.can_be_ranked:
                self._require_own_files(row.submission, self._rankable)
            _require_season(self, row)

    def put(self, row: Entry) -> Path:
        """Write a row, which replaces an earlier row of the same submission.

        Returns:
            The path of its file.

        Raises:
            ValueError: the row is not new, does not fit the board, or had a higher level before.
        """
        self.require_sound(row)
        self.require_new(row.submission, row.level)
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
    def _rankable(self) -> dict[str, str]:
        """The id of the first row that can be ranked for each digest of a file."""
        return _owners(row for row in self.rows if isinstance(row, Entry) and row.can_be_ranked)

    @cached_property
    def _owned(self) -> dict[str, str]:
        """The id of a row for each digest of a file; rows that can be ranked have priority."""
        return _owners(self.rows) | self._rankable

    @cached_property
    def removed(self) -> dict[str, str]:
        """The reasons for removals, by id."""
        return {c.entry: c.reason for c in self.changes if c.change == "removed"}


def read_board(path: Path, new: bool = False) -> Board:
    """The board in a folder.

    Arguments:
        path: path of the folder.
        new: True if the board need not exist yet.

    Raises:
        ValueError: there is no board, or an entry is damaged, forged or misnamed, or does not fit
            the other entries.
    """
    if not new and not _is_board(path):
        advice = advise(path, _is_board, "check the path")
        raise ValueError(f"{path}: expected the folder of a board, found none; {advice}")
    rows = []
    for file in sorted((path / "entries").glob("[!.]*.json")):
        row = read_row(read_plain(file, _MOST_ENTRY), str(file))
        if file.stem != row.id:
            raise ValueError(f"{file}: expected the name {row.id}.json, as its id; rename it")
        rows.append(row)
    board = Board(
        path=path,
        rows=tuple(rows),
        seasons=read_seasons(path / "seasons.json"),
        changes=read_records(path / "changes.json", _CHANGES, "a list of changes"),
        pins=read_pins(path / "data.json"),
    )
    for row in rows:
        board.require_sound(row)
    return board


def _owners(rows: Iterable[Row]) -> dict[str, str]:
    found: dict[str, str] = {}
    for row in rows:
        for record in row.submission.seeds if isinstance(row, Entry) else ():
            for kind in _OWN_FILES:
                found.setdefault(getattr(record.digests, kind), row.id)
    return found


def add_row(path: Path, row: Entry) -> Path:
    """Write a row to the board in a folder. A lock lets only one process write at a time.

    Returns:
        The path of its file.

    Raises:
        ValueError: for the same reasons as :meth:`Board.put`.
    """
    with locked(path, wait=True):
        return read_board(path, new=True).put(row)


def _is_board(path: Path) -> bool:
    return any((path / name).exists() for name in ("entries", "seasons.json"))


def season_signatures(board: Board, name: str) -> dict[str, str]:
    """The signatures of all rows of a season, by id."""
    return {
        row.id: row.signature or ""
        for row in board.rows
        if isinstance(row, Entry) and row.verification and row.verification.season == name
    }


def _require_season(board: Board, row: Entry) -> None:
    """Check that a verified row fits its published season.

    Raises:
        ValueError: the season was not published, or the row contradicts it, or the season ended
            without the row.
    """
    season, found = board.season(row), row.verification
    if found is None:
        return
    if season is None:
        raise ValueError(
            f"{row.id}: expected a season of {board.path / 'seasons.json'}, found one whose "
            "commitment was never published; verify it with a season's secret"
        )
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
            f"{row.id}: expected a row that existed when season {season.name} ended, found "
            "another, which anybody could sign; verify it in an open season"
        )
