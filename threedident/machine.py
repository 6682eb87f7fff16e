"""What this machine and its processes can be asked for."""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import sys
import tempfile
from pathlib import Path

_PR_SET_PDEATHSIG = 1


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

    Arguments:
        parent: process id of the parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)  # it ended before the request
