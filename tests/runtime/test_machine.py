"""Memory that a process keeps, and memory that it returns to the system."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from threedident.runtime import machine

FAULTS = """
import resource, sys
from threedident.runtime.machine import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):  # beyond 32 MB glibc never keeps any
    block = b"x" * 2**26
    del block
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's setting")
def test_memory_that_is_kept_is_not_asked_for_again() -> None:
    kept, returned = (
        int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True).stdout)
        for how in ("kept", "returned")
    )
    assert returned > 10 * kept


@pytest.mark.skipif(sys.platform != "linux", reason="files of Linux")
def test_memory_is_what_the_container_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    whole = machine.memory()  # no container
    assert whole is not None
    assert whole[0] > whole[1] > 0
    for name, text in (
        ("max", "max"),
        ("current", str(80 * 2**20)),
        ("stat", f"anon 5\ninactive_file {30 * 2**20}"),
    ):
        (tmp_path / f"memory.{name}").write_text(f"{text}\n")
    assert machine.memory()[0] == whole[0]  # type: ignore[index]
    (tmp_path / "memory.max").write_text(f"{100 * 2**20}\n")
    assert machine.memory() == (100 * 2**20, 50 * 2**20)
