"""Steps that code of a stranger might take, tried in a process that has locked itself down.

``python -m tests.leaderboard.sandbox.hostile_steps MODE FILE`` prints each step's number of an
error, or 0, first in the main thread, then in one that was there before the process was locked
down. MODE is ``all``, or ``without calls``: then the system is left its calls, and only steps
towards files are tried.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from unittest.mock import patch

from benchmark.leaderboard.sandbox import confinement

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
FAILED = ctypes.c_void_p(-1).value
Steps = dict[str, Callable[[], object]]


def towards_files(there: Path) -> Steps:
    new = there.with_name("new")
    return {
        "read": lambda: os.open("/etc/hostname", os.O_RDONLY),
        "hold a path": lambda: os.open("/", os.O_PATH),
        "write": lambda: os.open(new, os.O_WRONLY | os.O_CREAT),
        "unlink": lambda: there.unlink(),
        "rename": lambda: there.rename(new),
        "chmod": lambda: there.chmod(0),
        "truncate": lambda: os.truncate(there, 0),
        "mkdir": lambda: new.mkdir(),
        "mkdir here": lambda: Path("new").mkdir(),
        "symlink": lambda: new.symlink_to(there),
        "stat": lambda: there.stat(),
        "list": lambda: list(Path("/").iterdir()),
        "socket": lambda: socket.socket(),
        "socket of this machine": lambda: socket.socket(socket.AF_UNIX),
        "pair of sockets": lambda: socket.socketpair(),
        "pipe": lambda: os.pipe(),
        "copy": lambda: os.dup(0),
        "execute": lambda: os.execve("/bin/true", ["true"], {}),
        "more files": lambda: resource.prlimit(0, resource.RLIMIT_NOFILE, (9, 9)),
    }


def towards_the_system() -> Steps:
    import pyseccomp

    def call(name: str, *arguments: int | bytes | None) -> Callable[[], int]:
        number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
        assert number >= 0, name

        def step() -> int:
            result: int = LIBC.syscall(number, *arguments)
            if result == -1:
                raise OSError(ctypes.get_errno(), name)
            return result

        return step

    parent = os.getppid()
    return {
        "start": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "fork": lambda: ended(os.fork()),
        "vfork": lambda: ended(call("clone", signal.SIGCHLD, 0, 0, 0, 0)()),
        "clone3": call("clone3", None, 0),
        "thread in another network": call("clone", 0x40010F00, 0, 0, 0, 0),
        "code in memory": code_in_memory,
        "memory made code": call("mprotect", 0, 0, mmap.PROT_READ | mmap.PROT_EXEC),
        "kill": lambda: os.kill(parent, 0),
        "kill a thread": call("tgkill", parent, parent, 0),
        "limits of another": call("prlimit64", parent, resource.RLIMIT_NOFILE, None, None),
        "trace": call("ptrace", 0, 0, None, None),
        "memory of another": call("process_vm_readv", parent, None, 0, None, 0, 0),
        "write there": call("process_vm_writev", parent, None, 0, None, 0, 0),
        "be dumped": call("prctl", 4, 1, 0, 0, 0),
        "mount": call("mount", None, None, None, 0, None),
        "new namespaces": call("unshare", 0),
        "namespaces of another": call("setns", 0, 0),
        "other root": lambda: os.chroot("."),
        "other user": lambda: os.setuid(0),
        "rings": call("io_uring_setup", 0, None),
        "programs in the kernel": call("bpf", 0, None, 0),
        "keys": call("keyctl", 0, -3, 0),
        "page faults": call("userfaultfd", 0),
        "counters": call("perf_event_open", None, 0, -1, -1, 0),
        "files in memory": call("memfd_create", b"name", 0),
        "shared memory": call("shmget", 0, 4096, 0o1600),
        "other filters": call("seccomp", 1, 0, None),
    }


def ended(pid: int) -> int:
    """End the process that should not be."""
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def code_in_memory() -> None:
    kind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    place = LIBC.mmap(None, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC, kind, -1, 0)
    if place == FAILED:
        raise OSError(ctypes.get_errno(), "mmap")


def tried(steps: Steps) -> dict[str, int]:
    return {name: number(step) for name, step in steps.items()}


def number(step: Callable[[], object]) -> int:
    try:
        step()
    except OSError as error:
        return error.errno or -1
    return 0


def main(mode: str, place: str) -> None:
    confinement.leave_network()
    steps = towards_files(Path(place))
    left_open = os.open(place, os.O_RDONLY)
    steps["read on"] = lambda: os.read(left_open, 1)
    if mode == "all":
        steps |= towards_the_system()
    go, found = SimpleQueue[None](), SimpleQueue[dict[str, int]]()
    other = Thread(target=lambda: found.put((go.get(), tried(steps))[1]))
    other.start()
    if mode == "all":
        confinement.lock_down(2**30, 60)
    else:
        with patch.object(confinement, "load_library", lambda: None):
            confinement.lock_down(2**30, 60)
    first = tried(steps)
    go.put(None)
    second = found.get()
    other.join()
    sys.stdout.write(json.dumps({name: [first[name], second[name]] for name in steps}))


if __name__ == "__main__":
    main(*sys.argv[1:])
