"""The log of a training: lines that are on the disk before a checkpoint knows of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmark.training.folder import RunFolder
from benchmark.training.log import Tracker


def test_lines_are_on_the_disk_once_they_are_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, reached = RunFolder(tmp_path), list[int]()
    monkeypatch.setattr(os, "fsync", lambda handle: reached.append(os.fstat(handle).st_size))
    with Tracker(folder, 0, 0, tensorboard=False, silent=False) as tracker:
        for step in (1, 2):
            tracker.record(step, {"loss": 0.5})
            tracker.flush()
            assert reached[-1] == folder.metrics.stat().st_size
            assert [record["step"] for record in folder.records()] == list(range(1, step + 1))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")
def test_a_log_is_closed_at_its_end(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with Tracker(folder, 0, 0, tensorboard=False, silent=False) as tracker:
        tracker.record(1, {"loss": 0.5})
        assert str(folder.metrics) in open_files()
    assert str(folder.metrics) not in open_files()
    assert [record["loss"] for record in folder.records()] == [0.5]


def open_files() -> set[str]:
    links = Path("/proc/self/fd").iterdir()
    return {str(link.readlink()) for link in links if link.is_symlink()}
