"""Memory of loader processes, measured in separate processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

from threedident.conditionals.steps import Normal
from threedident.dataset.split import ThreeDIdent
from threedident.pairs.nearest import PositivePairs
from threedident.runtime.machine import die_with

_BATCHES = 8
_TORCH_ALONE = """
import multiprocessing
from torch.utils.data import DataLoader
for _ in DataLoader(range(1000), num_workers=1):
    [process] = multiprocessing.active_children()
    status = open(f"/proc/{process.pid}/status").read()
print(status)
"""


def loader_footprint(root: Path, batch_size: int, workers: int) -> list[int]:
    """Peak memory of each loader process, minus that of a process that loads only numbers.

    Both are in bytes. The second process uses only torch.

    Arguments:
        root: folder of a data set with a packed train split.
        batch_size: number of pairs in a batch.
        workers: number of loader processes.
    """
    script = (
        "from pathlib import Path\nimport benchmark.measure.memory as f\n"
        f"print(f.worker_peaks(Path({str(root)!r}), {batch_size}, {workers}))"
    )
    alone, peaks = (_printed(run_script(each)) for each in (_TORCH_ALONE, script))
    return [peak - _peak_in(alone) for peak in json.loads(peaks)]


def worker_peaks(root: Path, batch_size: int, workers: int) -> list[int]:
    """Peak memory in bytes of each loader process of this process, over some batches."""
    pairs = PositivePairs(ThreeDIdent(root), Normal(0.1), length=_BATCHES * batch_size)
    peaks: dict[int, int] = {}
    for _ in pairs.loader(batch_size, workers=workers):
        for process in multiprocessing.active_children():
            assert process.pid is not None
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            peaks[process.pid] = _peak_in(status)
    return list(peaks.values())


def _peak_in(status: str) -> int:
    """Peak memory in bytes, from the content of ``/proc/PID/status``."""
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return 1024 * int(found[1])


def run_script(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a separate interpreter, which ends when this process ends."""
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        preexec_fn=partial(die_with, os.getpid()),
    )


def _printed(done: subprocess.CompletedProcess[str]) -> str:
    done.check_returncode()
    return done.stdout
