"""The report of a GPU, tried on the CPU, in an environment without what it does not need."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WITHOUT = """
import sys
for name in ("bpy", "faiss", "matplotlib", "jinja2", "OpenEXR", "onnx", "sklearn"):
    sys.modules[name] = None
from benchmark.measure.__main__ import measure
measure(["gpu", "--device", "cpu", "--quick"])
"""


def test_it_runs_without_blender_faiss_and_matplotlib(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    text = result.stdout
    held, count, bits = map(
        int, re.findall(r"(\d+) of (\d+) values agree with the CPU, (\d+)", text)[0]
    )
    assert held == count > 30
    assert 0 < bits <= count
    assert re.search(r"\| conv \| 16 \| bf16, channels-last \| [\d,]+ \|", text)
    for pairs in ("exact", "augmented"):
        assert re.search(rf"\| {pairs} \| conv \| 16 \| [\d.]+ \| .*% \|", text)
    assert re.search(r"\| 128 \| [\d.]+ \|", text)
    assert re.search(r"steps/s with scoring and saving, R2 0\.\d+, MCC 0\.\d+ on fresh ones", text)
    assert "DIFFERS" not in text
    assert not list(tmp_path.glob("gpu-*"))


def test_without_a_gpu_it_says_so() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "benchmark.measure", "gpu"],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2
    assert "found cuda but no CUDA GPU; use --device cpu" in result.stderr
