"""What this machine and its processes can be asked for."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
# loaded here: a process that was just forked off others' threads must not load anything
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def processors() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """The processor's model, as the system calls it."""
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        facts = ""
    models = (
        line.partition(":")[2].strip() for line in facts.splitlines() if "model name" in line
    )
    return next(models, "") or platform.processor() or platform.machine()


def memory_file() -> str:
    """The path of a file that lives in memory and ends with this process, where there are such.

    Elsewhere it lies in the folder for temporary files, and is its owner's to remove.
    """
    if hasattr(os, "memfd_create"):
        return f"/proc/self/fd/{os.memfd_create('frame')}"
    handle, path = tempfile.mkstemp()
    os.close(handle)
    return path


def peak_bytes() -> int:
    """The most memory that this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def process_space() -> str:
    """Identifies where process ids mean something: this boot of this machine, this container.

    Empty where the system cannot tell.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def started_at(pid: int) -> str:
    """When a process started, in the kernel's ticks; empty where none of that id is alive."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]


def die_with(parent: int) -> None:
    """Ask Linux to end this process when its parent ends, however that happens.

    As the ``preexec_fn`` of a process it leaves no moment in which that would survive its parent.

    Arguments:
        parent: process id of the parent.
    """
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)  # it ended before the request


@contextmanager
def child(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that ends at once where this one ends, or the block is left by an exception.

    Arguments:
        command: the command line.
        options: of :class:`subprocess.Popen`.
    """
    end = partial(die_with, os.getpid())
    with subprocess.Popen(command, preexec_fn=end, **options) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise
