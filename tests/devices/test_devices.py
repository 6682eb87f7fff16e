"""Checks on a pretended device, which a process must know before its first backward pass."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
CHECKS = sorted(path.name for path in HERE.glob("check_*.py"))


@pytest.mark.parametrize("name", CHECKS)
def test_on_another_device(name: str) -> None:
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "python_files=check_*.py")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(HERE / name)],
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_check_is_run() -> None:
    assert len(CHECKS) == 4
