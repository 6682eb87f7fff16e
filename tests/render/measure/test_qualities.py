"""The command that measures every quality, at a size that takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from render.settings import QUALITIES
from tests.conftest import pixels
from threedident.runtime.files import spell_bytes

pytestmark = pytest.mark.slow


def measure(out: Path) -> str:
    settings = ("--count", "2", "--resolution", "24", "--device", "cpu", "--out", str(out))
    command = [sys.executable, "-m", "render.measure", *settings]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_quality_is_measured_against_references_made_once(tmp_path: Path) -> None:
    printed = measure(tmp_path)
    records = {
        each["quality"]: each for each in json.loads((tmp_path / "measure.json").read_text())
    }
    assert list(records) == list(QUALITIES)
    psnr = {name: sum(f["psnr"] for f in each["fidelity"]) for name, each in records.items()}
    assert psnr["paper"] > psnr["standard"] > psnr["draft"] > 40
    rates = {name: each["images_per_s"] for name, each in records.items()}
    assert rates["draft"] > rates["paper"]
    for each in records.values():
        assert 50e6 < each["first_peak_bytes"] <= each["peak_bytes"] < 2e9
        assert all(0.3 < fidelity["ssim"] <= 1 for fidelity in each["fidelity"])
    assert all(name in printed for name in QUALITIES)
    assert pixels(tmp_path / "measure.png").std() > 10
    [reference] = [path for path in tmp_path.iterdir() if path.is_dir()]
    stamps = {path: path.stat().st_mtime_ns for path in reference.rglob("*.png")}
    assert len(stamps) == 2
    measure(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in reference.rglob("*.png")} == stamps


def test_sizes_are_spelled_for_people() -> None:
    assert [spell_bytes(n) for n in (12, 1234, 7.6e6, 3e9, 2e12)] == [
        "0.012 kB",
        "1.23 kB",
        "7.6 MB",
        "3 GB",
        "2 TB",
    ]
