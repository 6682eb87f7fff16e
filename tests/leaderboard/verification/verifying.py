"""How submissions on rendered images are verified."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmark.leaderboard.board.board import read_board
from benchmark.leaderboard.verification.entry import Entry
from tests.conftest import (
    done_at_once,
)
from tests.leaderboard.submissions import (
    EDGE,
)

SECRET = "f3a1c2d4e5b60718293a4b5c6d7e8f90"


FRESH, PUBLIC = 256, 1000


SMALL = ("--resolution", EDGE, "--quality", "draft", "--device", "cpu")


Verify = Callable[..., tuple[object, ...]]


def verified(verify: Verify, board: Path, folder: Path, *more: object) -> Entry:
    done_at_once(*verify(folder, *more))
    [row] = [row for row in read_board(board).rows if row.id == folder.name]
    assert isinstance(row, Entry)
    return row


def drawn(season: Path) -> Path:
    """The one folder of kept images that were drawn to their end."""
    [place] = [seal.parent for seal in season.glob("*/seal")]
    return place
