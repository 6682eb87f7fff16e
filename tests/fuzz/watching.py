"""Keeps an eye on a reader: time, memory, and what it opens, starts and connects to."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

SECONDS = 5.0  # within which a reader must return
_MOST_MEMORY = 400 * 2**20  # bytes that one reading may add to the process
_MOST_ROOM = 2**30  # bytes of addresses that it may ask for, where the system tells them
_SIZE = Path("/proc/self/statm")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.link"}
_STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.exec"}


class Hung(BaseException):
    """A reader takes too long; no reader's own ``except Exception`` catches it."""


class _Auditor:
    """Notes what the process does while it is watched; a hook once added stays for good."""

    def __init__(self) -> None:
        self.seen: list[str] | None = None
        self.allowed: set[str] = set()
        self._room = os.path.realpath(tempfile.gettempdir()) + "/"
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.seen is None or event in self.allowed:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes | os.PathLike) and flags & _WRITING:
                self._check(event, path)
        elif event in _CHANGES and arguments[-1] in (None, -1):  # named from the root
            self._check(event, arguments[0])
        elif event in _STARTS or event == "socket.connect":
            self.seen.append(f"{event} {arguments[:2]}")

    def _check(self, event: str, path: Any) -> None:
        if isinstance(path, int):
            return
        name = str(Path.cwd() / os.fsdecode(path))
        if not name.startswith(self._room) and "__pycache__" not in name and name != "/dev/null":
            assert self.seen is not None
            self.seen.append(f"{event} {name}")


_auditor: list[_Auditor] = []


@contextmanager
def watched(allowed: frozenset[str] = frozenset(), seconds: float = SECONDS) -> Iterator[None]:
    """Watch what is done inside.

    Arguments:
        allowed: events of Python's audit hooks that may happen.
        seconds: within which it must end.

    Raises:
        AssertionError: it takes too long or too much memory, writes to a place outside the folder
            for temporary files, starts a process, or leaves a thread or an open file.
    """
    if not _auditor:
        _auditor.append(_Auditor())
    auditor = _auditor[0]
    auditor.seen, auditor.allowed = [], set(allowed)
    threads, handles, memory = threading.active_count(), _handles(), _memory()
    before = signal.signal(signal.SIGALRM, _hang)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        with _bounded():
            yield
    except Hung:
        raise AssertionError(f"expected it to end within {seconds} s, found it at work") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        seen, auditor.seen = auditor.seen, None
    assert not seen, seen
    assert _settles(lambda: threading.active_count() <= threads), "a thread was left"
    assert _settles(lambda: _handles() <= handles), "a file was left open"
    taken = _memory() - memory
    assert taken < _MOST_MEMORY, f"it took {taken / 2**20:.0f} MiB"


@contextmanager
def _bounded() -> Iterator[None]:
    """Let a reader that takes all memory fail, and not the machine."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if not _SIZE.is_file():
        yield
        return
    most = int(_SIZE.read_text().split()[0]) * resource.getpagesize() + _MOST_ROOM
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _hang(_signal: int, _frame: FrameType | None) -> None:
    raise Hung


def _settles(condition: Callable[[], bool]) -> bool:
    """Whether a condition holds soon."""
    end = time.monotonic() + 1.0
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def _handles() -> int:
    folder = Path("/proc/self/fd")
    return len(os.listdir(folder)) if folder.is_dir() else 0  # noqa: PTH208


def _memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
