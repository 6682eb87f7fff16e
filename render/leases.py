"""Leases: a file says who is at work on something, and stops being true when its holder stops.

A lease is a small file that its holder touches every few seconds. It has expired when it was
not touched for :data:`EXPIRY_S`, by the clock of the file system that holds it, or at once
when its holder ran in the same process space as the reader and is gone. The files of one lease
are numbered: whoever makes the file after those found dead, which only one process can, and
then finds no other alive, has taken over, and the former holder sees that when it next looks.
Nothing here needs locks, so leases hold on network file systems too.
"""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from threedident.machine import process_space, started_at

EXPIRY_S = 60.0
_PERIOD_S = EXPIRY_S / 6


@dataclass(frozen=True)
class Holder:
    """A process that holds a lease.

    Arguments:
        host: name of its machine, for people.
        place: the boot or container in which its process id means something.
        pid: process id.
        started: when the process started, since ids are used again.
    """

    host: str
    place: str
    pid: int
    started: str

    @classmethod
    def me(cls) -> Holder:
        """This process."""
        pid = os.getpid()
        return cls(socket.gethostname(), process_space(), pid, started_at(pid))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


_UNKNOWN = Holder("an unknown host", "", 0, "")


class Lease:
    """A lease that this process holds; a thread of its own touches it until it is released."""

    def __init__(self, path: Path, file: int) -> None:
        self.path, self._file = path, file
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def _renew(self) -> None:
        while not self._stop.wait(_PERIOD_S):
            with suppress(OSError):  # a file system that is away may come back
                os.utime(self._file)

    def check(self) -> None:
        """Make sure that it was not taken over while this process stood still.

        Raises:
            ValueError: it was.
        """
        if _identity(self.path) != os.fstat(self._file).st_ino:
            raise ValueError(
                f"{self.path}: expected to hold this lease, found it taken over by another "
                "process; give the same command again when that has ended"
            )

    def release(self) -> None:
        """Let the next holder in at once."""
        self._stop.set()
        self._thread.join()
        if _identity(self.path) == os.fstat(self._file).st_ino:
            self.path.unlink(missing_ok=True)
        os.close(self._file)


class Fence:
    """For a process that works under another's lease: stops it when the lease has ended."""

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, os.open(path, os.O_RDONLY)

    def check(self) -> None:
        """Wait for the lease to be touched, if that is overdue, as after a machine's sleep.

        Raises:
            ValueError: it was taken over, or has expired.
        """
        end = time.monotonic() + 2 * _PERIOD_S
        while _identity(self._path) == os.fstat(self._file).st_ino:
            if _age(self._path) <= EXPIRY_S:
                return
            if time.monotonic() > end:
                break
            time.sleep(0.5)
        raise ValueError(
            f"{self._path}: expected this lease to hold, found it expired or taken over; give the "
            "same command again when no other run is at work"
        )


def holders(folder: Path) -> dict[str, Holder]:
    """Who holds a lease of ``folder`` now, by the lease's name."""
    files = sorted(_files(folder))
    now = _now(folder) if files else 0.0
    found = {name: _holder(_path(folder, name, number), now) for name, number in files}
    return {name: who for name, who in found.items() if who is not None}


@contextmanager
def held(folder: Path, name: str, patience_s: float = 0.0) -> Iterator[Lease]:
    """Hold a lease.

    Arguments:
        folder: where leases lie; made in its parent where it is missing.
        name: what is leased; letters, digits and hyphens.
        patience_s: how long to wait for another holder to end or to expire.

    Raises:
        ValueError: another process holds it; the message names it.
    """
    lease = acquire(folder, name, patience_s)
    try:
        yield lease
    finally:
        lease.release()


def acquire(folder: Path, name: str, patience_s: float = 0.0) -> Lease:
    """As :func:`held`, for a holder that releases the lease itself."""
    deadline = time.monotonic() + patience_s
    while True:
        folder.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # a holder that ended took the folder along
            who = _try(folder, name)
            if isinstance(who, Lease):
                return who
            if who is not None and time.monotonic() >= deadline:
                raise ValueError(
                    f"{folder.parent}: expected no one else at work on {name}, found {who}; wait "
                    f"for it or stop it (a lease ends {EXPIRY_S:.0f} s after its holder at the "
                    "latest)"
                )
        time.sleep(random.uniform(0.05, 0.3))


def _try(folder: Path, name: str) -> Lease | Holder | None:
    """The lease, or who holds it, or None where several came at once.

    Files that were found dead are only removed by who comes after them. A file is made before
    the others are looked at: of two that come at once, the later sees the earlier.
    """
    numbers = [number for there, number in _files(folder) if there == name]
    who = _live(folder, name, numbers)
    if who is not None:
        return who
    mine = max(numbers, default=-1) + 1
    path = _path(folder, name, mine)
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return None
    try:
        os.write(file, json.dumps(asdict(Holder.me())).encode())
        others = [number for there, number in _files(folder) if there == name and number != mine]
        rival = _live(folder, name, others)
    except BaseException:
        path.unlink(missing_ok=True)
        os.close(file)
        raise
    if rival is not None:
        path.unlink(missing_ok=True)
        os.close(file)
        return None
    for number in others:
        _path(folder, name, number).unlink(missing_ok=True)
    return Lease(path, file)


def _live(folder: Path, name: str, numbers: Iterable[int]) -> Holder | None:
    """A holder of one of the numbered files that still counts."""
    paths = [_path(folder, name, number) for number in numbers]
    now = _now(folder) if paths else 0.0
    found = (_holder(path, now) for path in paths)
    return next((who for who in found if who is not None), None)


def _path(folder: Path, name: str, number: int) -> Path:
    return folder / f"{name}.{number}"


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    for path in folder.glob("[!.]*.*"):
        name, _, end = path.name.rpartition(".")
        if end.isdigit():
            yield name, int(end)


def _holder(path: Path, now: float) -> Holder | None:
    """Who holds the lease in a file; None where it is gone or has expired."""
    try:
        touched, text = path.stat().st_mtime, path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    who = _parse(text)
    if who.place and who.place == process_space():
        return who if who.started == started_at(who.pid) else None
    return who if now - touched <= EXPIRY_S else None


def _parse(text: str) -> Holder:
    """A holder that was just made, or damaged, counts as unknown until it expires."""
    try:
        return Holder(**json.loads(text))
    except (ValueError, TypeError):
        return _UNKNOWN


def _identity(path: Path) -> int | None:
    """Tells a file from others that had or will have its name; None where there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _age(path: Path) -> float:
    try:
        return _now(path.parent) - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _now(folder: Path) -> float:
    """The time by the clock of the file system, whose machine may have another than ours."""
    probe = folder / f".clock.{os.urandom(6).hex()}.tmp"
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink()
