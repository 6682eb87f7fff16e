"""The command that measures the data engine, at a size that takes seconds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from threedident import RenderedPairs, ThreeDIdent

pytestmark = pytest.mark.slow

COMMAND = (sys.executable, "-m", "benchmark.measure", "engine")
SECTIONS = (
    "Index",
    "Pairs",
    "Augmented pairs",
    "Training steps",
    "Memory of loader processes",
    "Delivered steps",
)


def test_every_figure_stands_beside_what_it_is_compared_with(tmp_path: Path) -> None:
    result = subprocess.run(
        [*COMMAND, "--rows", "2600", "--steps", "1", "--scratch", str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "160"},
    )
    assert result.returncode == 0, result.stderr
    for section in SECTIONS:
        assert section in result.stdout
    lines = [line for line in result.stdout.splitlines() if "one at a time" in line]
    rates = {
        name.strip(): float(rate)
        for name, rate in re.findall(r"│ ([^│]+)│ (\d+) pairs/s", result.stdout)
    }
    assert len(lines) == 5
    assert len(rates) == 6
    assert rates["pairs.loader"] > 3 * rates["one at a time, in this process"]
    ratios = [float(r) for r in re.findall(r"requested +│ ([0-9.]+)", result.stdout)]
    assert ratios[0] > ratios[1] > 1.5
    assert 0.98 < ratios[2] < 1.02
    assert not list(tmp_path.iterdir())


def test_too_little_room_is_said_first() -> None:
    result = subprocess.run([*COMMAND, "--rows", str(10**9)], capture_output=True, text=True)
    assert result.returncode == 2
    assert "expected room for about 18.4 TB on the disk" in result.stderr


def test_synthetic_pairs_open(tmp_path: Path) -> None:
    from benchmark.measure.synthetic import sparse_pairs

    sparse_pairs(tmp_path, 30, 224, "laplace:0.1")
    pairs = RenderedPairs(ThreeDIdent(tmp_path))
    assert pairs[3].image.shape == (3, 224, 224)
    used = sum(path.stat().st_blocks * 512 for path in tmp_path.rglob("*.npy"))
    assert used < 100_000
