"""Facts about this machine, and child processes that end with their parent."""

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
_CGROUP = Path("/sys/fs/cgroup")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>
# loaded at import: between fork and exec, a child of a process with threads must load nothing
_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
_MALLOPT = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None


def processors() -> int:
    """Number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """Name of the processor's model, as the system reports it."""
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        facts = ""
    models = (
        line.partition(":")[2].strip() for line in facts.splitlines() if "model name" in line
    )
    return next(models, "") or platform.processor() or platform.machine()


def memory() -> tuple[int, int] | None:
    """Bytes of memory that this machine or its container has, and has free; None if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        facts = {line.partition(":")[0]: int(line.split()[1]) for line in lines}
        whole, free = 1024 * facts["MemTotal"], 1024 * facts["MemAvailable"]
    except (OSError, KeyError, ValueError, IndexError):
        return None
    try:  # the limit of a container, whose use includes files that can be dropped
        most, used = (int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # none, or the word max
        return whole, free
    left = most - used + int(stat.get("inactive_file", 0))
    return min(whole, most), max(0, min(free, left))


def memory_file() -> str:
    """Path of a new file that is kept in memory and disappears with this process.

    On systems without such files it is a temporary file, which the caller must remove.
    """
    if hasattr(os, "memfd_create"):
        return f"/proc/self/fd/{os.memfd_create('frame')}"
    handle, path = tempfile.mkstemp()
    os.close(handle)
    return path


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, for its next arrays.

    By default glibc returns blocks of megabytes to the system at once, and each new one costs page
    faults. Peak memory stays the same. Other C libraries have no such setting, and keep theirs.
    """
    if _MALLOPT is not None:
        _MALLOPT(_M_MMAP_THRESHOLD, 2**30)
        _MALLOPT(_M_TRIM_THRESHOLD, 2**31 - 1)


def peak_bytes() -> int:
    """Peak memory of this process in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def process_space() -> str:
    """Identifier of the scope of process ids: this boot of this machine, this container.

    Empty if the system does not tell.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def started_at(pid: int) -> str:
    """Start time of a process in clock ticks of the kernel; empty if no such process is alive."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]


def die_with(parent: int) -> None:
    """Ask Linux to kill this process when its parent ends for any reason.

    Use it as the ``preexec_fn`` of a process. There is then no moment in which the process could
    outlive its parent.

    Arguments:
        parent: process id of the parent.
    """
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)  # the parent ended before the request


@contextmanager
def child(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A child process that is killed when this process ends or an exception leaves the block.

    Arguments:
        command: the command line.
        options: options of :class:`subprocess.Popen`.
    """
    end = partial(die_with, os.getpid())
    with subprocess.Popen(command, preexec_fn=end, **options) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise
