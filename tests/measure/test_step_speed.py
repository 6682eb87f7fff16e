from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from benchmark.encoders.model import can_compile

pytestmark = pytest.mark.slow


def test_every_way_is_measured_beside_the_first() -> None:
    options = ("--encoder", "conv", "--resolution", "16", "--images", "4", "--rounds", "1")
    line = [sys.executable, "-m", "benchmark.measure", "steps", *options]
    result = subprocess.run(line, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    rows = [row.split("│") for row in result.stdout.splitlines() if row.startswith("│")]
    assert [row[1].strip() for row in rows] == [
        "float32",
        "float32, channels-last",
        "bf16, channels-last",
        *(["float32, channels-last, compiled"] if can_compile(torch.device("cpu")) else []),
    ]
    assert float(rows[0][3]) == 1
    assert all(float(row[2]) > 0 for row in rows)
