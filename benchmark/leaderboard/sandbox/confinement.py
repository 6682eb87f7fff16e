"""A process gives up network, files, rights and system calls before it reads a stranger's bytes.

Each protection stands by itself, for a system may refuse any of them:

    limits   no file or socket can be opened, and memory and processor time end
    network  all threads are in a network without any interface
    files    no path leads to a file
    rights   none of root's
    calls    the system answers none but those that running a graph takes

:func:`benchmark.leaderboard.sandbox.sandbox.protections` says which hold here.
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
_FIRST_FREE = 3  # after stdin, stdout and stderr


def leave_network() -> bool:
    """Move to a network without any interface, and to message queues and shared memory of its own.

    Only the calling thread moves, and those that it starts: it must be the only one so far.

    Returns:
        Whether the system granted it.
    """
    if sys.platform != "linux":
        return False
    unshare = ctypes.CDLL(None).unshare
    ours = _CLONE_NEWNET | _CLONE_NEWIPC
    refused = unshare(ours) and unshare(_CLONE_NEWUSER | ours)  # the first is for root alone
    return not refused


def lock_down(memory: int, seconds: int) -> dict[str, bool]:
    """Give up files, sockets, rights, and all but the memory and processor time that were granted.

    Arguments:
        memory: bytes, beside those that the process has.
        seconds: of every core, beside those that it has spent.

    Returns:
        Whether ``files``, ``rights`` and ``calls`` hold. The limits always do.
    """
    library = load_library()
    spent = resource.getrusage(resource.RUSAGE_SELF)
    processor = int(spent.ru_utime + spent.ru_stime) + 1 + seconds * (os.cpu_count() or 1)
    if sys.platform == "linux":  # other systems do not hold processes to it
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        _limit(resource.RLIMIT_AS, memory + pages * resource.getpagesize())
    os.closerange(_FIRST_FREE, os.sysconf("SC_OPEN_MAX"))
    _limit(resource.RLIMIT_NOFILE, 0)  # of new ones: those that are open stay so
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_CPU, processor, grace=1)  # a signal, then the end
    files = _leave_files()
    _become_nobody()
    return {"files": files, "rights": os.geteuid() != 0, "calls": allow_alone(library)}


def _leave_files() -> bool:
    """Make a folder that has nothing to open, change or add to the root of all paths."""
    if sys.platform != "linux":
        return False
    try:
        os.chroot("/proc/self/fdinfo")
        os.chdir("/")
    except OSError:  # it is for root alone, and for who has a namespace of users
        return False
    return True


def _become_nobody() -> None:
    """Root becomes a user who owns nothing, in all threads."""
    if os.geteuid() == 0:
        parent = os.getppid()
        with suppress(OSError):
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
        die_with(parent)  # which a change of user undoes


def _limit(kind: int, value: int, grace: int = 0) -> None:
    """Lower a limit of this process for good, below what it was started with."""
    _, hard = resource.getrlimit(kind)
    most = value + grace
    if hard != resource.RLIM_INFINITY:
        value, most = min(value, hard), min(most, hard)
    resource.setrlimit(kind, (value, most))


def main() -> None:
    """Confine this process, and answer what holds, as JSON, on a pipe."""
    held = {"network": leave_network(), **lock_down(2**30, 60)}
    sys.stdout.write(json.dumps(held))


if __name__ == "__main__":
    main()
