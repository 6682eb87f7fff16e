"""A row that was verified, and a board that holds it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmark.leaderboard.board.board import OWN, read_board
from benchmark.leaderboard.sandbox.sandbox import Limits
from benchmark.leaderboard.submission.folder import SubmissionFolder
from benchmark.leaderboard.verification.check import check
from benchmark.leaderboard.verification.entry import Entry, Reported, Row
from tests.leaderboard.board.pages import variant, visit
from tests.leaderboard.board.rows import (
    open_season_in,
    signed,
)
from tests.leaderboard.submissions import make_submission

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="session")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Entry:
    """A row at level recomputed."""
    folder = make_submission(tmp_path_factory.mktemp("made"), seeds=(0, 1, 2))
    return check(SubmissionFolder(folder), Limits()).entry()


@pytest.fixture
def board(tmp_path: Path, checked: Entry) -> Path:
    """One signed row of a published season."""
    open_season_in(tmp_path)
    read_board(tmp_path, new=True).put(signed(checked))
    return tmp_path


@pytest.fixture(scope="session")
def rows(checked: Entry) -> list[Row]:
    """Six ranked rows, one that was recomputed, and the paper's."""
    found: list[Row] = [variant(checked, number, "re-executed") for number in range(6)]
    found.append(variant(checked, 6, "recomputed", paper="https://arxiv.org/abs/2102.08850"))
    return [*found, *(row for row in read_board(OWN).rows if isinstance(row, Reported))]


@pytest.fixture
def opened(browser: Browser, rows: list[Row], tmp_path: Path) -> Iterator[Page]:
    """The page on a desk; it must not complain, nor ask for anything."""
    yield from visit(browser, rows, tmp_path)
