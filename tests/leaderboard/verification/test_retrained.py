"""A second training raises the level of a row."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import (
    refused_at_once,
)
from tests.leaderboard.submissions import (
    EDGE,
    copy_of,
    encode,
    make_submission,
    read_record,
)
from tests.leaderboard.verification.verifying import (
    Verify,
    verified,
)

pytestmark = pytest.mark.slow


def again_of(
    tmp_path: Path,
    images: np.ndarray,
    record: dict[str, Any],
    sums: bytes,
    seen: int,
    **changes: Any,
) -> Path:
    """A second training: encoders of another corner, whose scores are near where it is large."""
    return make_submission(
        tmp_path / "again",
        lambda seed: encode(images, seed, seen),
        seeds=(0, 1, 2),
        data=record,
        seen=seen,
        sums=sums,
        **changes,
    )


def test_a_second_training_raises_the_level(
    linear: Path,
    board: Path,
    verify: Verify,
    tmp_path: Path,
    images: np.ndarray,
    record: dict[str, Any],
    sums: bytes,
) -> None:
    first = verified(verify, board, linear)
    again = again_of(tmp_path, images, record, sums, EDGE - 1)
    row = verified(verify, board, linear, "--retrained", again)
    assert (first.level, row.level) == ("re-executed", "retrained")
    assert row.verification is not None
    assert row.verification.retrained is not None
    assert row.verification.fresh != row.verification.retrained.fresh
    digests = [entry["digests"]["encoder"] for entry in read_record(again)["seeds"]]
    assert list(row.verification.retrained.encoders) == digests
    assert "it is not lowered to re-executed" in refused_at_once(*verify(linear))


def test_what_is_no_second_training(
    linear: Path,
    verify: Verify,
    tmp_path: Path,
    images: np.ndarray,
    record: dict[str, Any],
    sums: bytes,
) -> None:
    copied = copy_of(linear, tmp_path / "again")
    line = refused_at_once(*verify(linear, "--retrained", copied))
    assert "expected encoders of a training of our own, found those of 2026-11-30" in line
    shutil.rmtree(tmp_path / "again")
    again = again_of(tmp_path, images, record, sums, EDGE - 1, supervision="augmentations")
    line = refused_at_once(*verify(linear, "--retrained", again))
    assert "expected a training with the supervision of 2026-11-30_by-hand" in line


def test_a_training_that_falls_short_does_not_raise_it(
    linear: Path,
    verify: Verify,
    tmp_path: Path,
    images: np.ndarray,
    record: dict[str, Any],
    sums: bytes,
) -> None:
    again = again_of(tmp_path, images, record, sums, 1)
    line = refused_at_once(*verify(linear, "--retrained", again))
    assert "--retrained: expected the fresh" in line
    assert "it stays re-executed" in line
