"""Confinement of a process, which gives up network, files, rights and system calls.

It does so before it reads untrusted bytes. The protections are independent, because a system may
refuse any of them:

    limits   no file or socket can be opened; memory and processor time are limited
    network  all threads are in a network without any interface
    files    no path leads to a file
    rights   the process has no rights of root
    calls    only the system calls that a graph needs to run are allowed

:func:`benchmark.leaderboard.sandbox.sandbox.protections` returns the protections that hold here.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

from benchmark.leaderboard.sandbox.system_calls import allow_alone, load_library
from threedident.runtime.machine import die_with

_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000
_NOBODY = 65534
_FIRST_FREE = 3  # first file descriptor after stdin, stdout and stderr


def leave_network() -> bool:
    """Move to a network without interfaces, and to separate message queues and shared memory.

    Only the calling thread and the threads that it starts later move, so it must be the only
    thread of the process.

    Returns:
        True if the system allowed it.
    """
    if sys.platform != "linux":
        return False
    unshare = ctypes.CDLL(None).unshare
    ours = _CLONE_NEWNET | _CLONE_NEWIPC
    refused = unshare(ours) and unshare(_CLONE_NEWUSER | ours)  # only root can do the first
    return not refused


def lock_down(memory: int, seconds: int) -> dict[str, bool]:
    """Give up files, sockets and rights, and limit memory and processor time.

    Arguments:
        memory: bytes, in addition to the present memory of the process.
        seconds: processor time for each core, in addition to the time that was used.

    Returns:
        True or False for each of ``files``, ``rights`` and ``calls``. The limits always hold.
    """
    library = load_library()
    spent = resource.getrusage(resource.RUSAGE_SELF)
    processor = int(spent.ru_utime + spent.ru_stime) + 1 + seconds * (os.cpu_count() or 1)
    if sys.platform == "linux":  # other systems do not enforce this limit
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        _limit(resource.RLIMIT_AS, memory + pages * resource.getpagesize())
    os.closerange(_FIRST_FREE, os.sysconf("SC_OPEN_MAX"))
    _limit(resource.RLIMIT_NOFILE, 0)  # applies to new files; open ones stay open
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, processor, grace=1)  # first a signal, then the process is killed
    files = _leave_files()
    _become_nobody()
    return {"files": files, "rights": os.geteuid() != 0, "calls": allow_alone(library)}


def _leave_files() -> bool:
    """Change the root of all paths to a folder in which no file can be opened or created.

    Returns:
        True if the system allowed it.
    """
    if sys.platform != "linux":
        return False
    try:
        os.chroot("/proc/self/fdinfo")
        os.chdir("/")
    except OSError:  # only root, or a process with its own user namespace, can do this
        return False
    return True


def _become_nobody() -> None:
    """Change all threads from root to a user who owns nothing."""
    if os.geteuid() == 0:
        parent = os.getppid()
        with suppress(OSError):
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        die_with(parent)  # a change of user cancels this setting, so set it again


def _limit(kind: int, value: int, grace: int = 0) -> None:
    """Lower a limit of this process permanently; it never exceeds the present hard limit."""
    _, hard = resource.getrlimit(kind)
    most = value + grace
    if hard != resource.RLIM_INFINITY:
        value, most = min(value, hard), min(most, hard)
    resource.setrlimit(kind, (value, most))


def main() -> None:
    """Confine this process, and write the protections that hold as JSON to standard output."""
    held = {"network": leave_network(), **lock_down(2**30, 60)}
    sys.stdout.write(json.dumps(held))


if __name__ == "__main__":
    main()
