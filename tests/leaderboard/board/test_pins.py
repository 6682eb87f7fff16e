"""Pins say which images the name of a data set has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmark.leaderboard.board.board import read_board
from benchmark.leaderboard.board.pins import write_pins
from benchmark.leaderboard.board.standings import standings
from benchmark.leaderboard.verification.entry import Entry
from tests.conftest import contents
from tests.leaderboard.board.rows import (
    other_images,
    renamed,
    signed,
)
from tests.leaderboard.submissions import DATA


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


def test_a_data_set_is_pinned_once(board: Path, checked: Entry) -> None:
    data = checked.submission.data.model_dump(mode="json")
    (board / "data.json").write_text(json.dumps([data, data]))
    with pytest.raises(ValueError, match="expected each data set once"):
        read_board(board)
