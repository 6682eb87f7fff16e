"""A sound submission, and a board."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.leaderboard.submissions import (
    make_submission,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_submission(tmp_path / "in")


@pytest.fixture
def board(tmp_path: Path) -> Path:
    return tmp_path / "board"
