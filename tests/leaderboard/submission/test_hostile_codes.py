"""Codes that cannot be what an encoder gave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import done_at_once
from tests.leaderboard.submission.strange import CODES_FILE, codes
from tests.leaderboard.submissions import (
    ROWS,
    change_codes,
    change_file,
    refusal,
)

ARRAYS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "NaN": (lambda z: np.where(np.arange(ROWS)[:, None] == 3, np.nan, z), "NaN or infinity"),
    "infinity": (lambda z: np.where(np.arange(ROWS)[:, None] == 3, np.inf, z), "row 3"),
    "too few rows": (lambda z: z[:-1], f"a row for each test image, found ({ROWS - 1}, 10)"),
    "too many rows": (lambda z: np.tile(z, (2, 1)), f"found ({2 * ROWS}, 10)"),
    "too few codes": (lambda z: z[:, :9], f"found ({ROWS}, 9)"),
    "too many codes": (lambda z: np.tile(z, 2), f"found ({ROWS}, 20)"),
    "shuffled rows": (lambda z: z[::-1], "give codes in the order of the test split"),
    "all the same": (lambda z: np.zeros_like(z), "that is claimed, found"),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_codes(folder: Path, board: Path, name: str) -> None:
    change, reason = ARRAYS[name]
    change_codes(folder, np.ascontiguousarray(change(codes(folder)), np.float32), claimed=False)
    assert reason in refusal(folder, board)


@pytest.mark.parametrize("offset", [2.0**22, -1e6, 3e4])
def test_codes_that_drown_in_their_offset(folder: Path, board: Path, offset: float) -> None:
    change_codes(folder, codes(folder) + np.float32(offset))
    line = refusal(folder, board)
    assert "expected codes that vary by 0.0001 of their magnitude at least, found code 0" in line
    assert "take the offset out" in line


def test_codes_of_a_common_offset_are_taken(folder: Path, board: Path) -> None:
    """As a bias or a box from 0 to 1 gives, and codes that do not vary at all, as dead units."""
    shifted = codes(folder) + np.float32(100.0)
    shifted[:, 3] = 1.0
    change_codes(folder, shifted)
    done_at_once("leaderboard", "check", folder, "--board", board)


@pytest.mark.parametrize("kind", [np.float64, np.float16, np.int32, np.complex64, ">f4"])
def test_codes_of_another_type(folder: Path, board: Path, kind: Any) -> None:
    change_codes(folder, codes(folder).astype(kind)[: ROWS // 2], claimed=False)
    assert "expected float32 in order of rows" in refusal(folder, board)


def test_codes_by_columns(folder: Path, board: Path) -> None:
    change_codes(folder, np.asfortranarray(codes(folder)), claimed=False)
    assert "found float32 by columns" in refusal(folder, board)


def test_codes_cut_short(folder: Path, board: Path) -> None:
    change_file(folder, CODES_FILE, (folder / CODES_FILE).read_bytes()[:-4])
    assert f"expected {40 * ROWS} bytes of codes, found {40 * ROWS - 4}" in refusal(folder, board)


def test_a_header_that_asks_for_all_memory(folder: Path, board: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (10000000000000, 10), }"
    padded = header + b" " * (117 - len(header)) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded
    change_file(folder, CODES_FILE, content)
    assert "found (10000000000000, 10)" in refusal(folder, board)
