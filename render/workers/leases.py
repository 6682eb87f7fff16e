"""Leases: files that say which process works on something, and that expire when it stops.

A lease is a small file whose modification time its holder updates every few seconds. Another
process regards it as expired after watching it without a change for :data:`EXPIRY_S`. If the
holder ran in the same process space as the reader and has ended, the lease expires at once.
Modification times are never compared with a clock, because clocks of machines differ and may be
reset. A process therefore first watches a lease of another machine, and a living holder shows
itself within seconds. A lease that cannot be read expires like any other.

The files of one lease are numbered. To take over a lease, a process creates the file with the
next number, which only one process can do, and then checks that no other file of the lease has a
living holder. The former holder notices this at its next check. Leases need no locks, so they
also work on network file systems.
"""

from __future__ import annotations

import json
import os
import random
import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from stat import S_ISDIR
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from threedident.runtime.errors import printable
from threedident.runtime.files import read_plain
from threedident.runtime.machine import process_space, started_at
from threedident.runtime.progress import say

EXPIRY_S = 60.0
_PERIOD_S = EXPIRY_S / 6
_NOTICE_S = 2.0  # after so long a time of watching, a message is printed
_GAP_S = 1.0  # a pause between two looks counts as watched time only up to this length
_LARGEST = 4096  # bytes of a lease
_NAME = re.compile(r"([^.].*)\.([0-9]{1,9})")
_watched: dict[Path, _Watched] = {}  # leases that this process watches


@dataclass(frozen=True)
class Holder:
    """A process that holds a lease.

    Arguments:
        host: name of its machine, for messages.
        place: the boot and container in which its process id is valid.
        pid: process id.
        started: start time of the process, because ids are reused.
    """

    host: str
    place: str
    pid: Annotated[int, Field(ge=0, lt=2**31)]
    started: str

    @classmethod
    def me(cls) -> Holder:
        """This process."""
        pid = os.getpid()
        return cls(socket.gethostname(), process_space(), pid, started_at(pid))

    def __str__(self) -> str:
        if self == _UNKNOWN:
            return "an unknown process"
        return f"process {self.pid} on {printable(self.host)}"


_UNKNOWN = Holder("", "", 0, "")
_HOLDER = TypeAdapter(Holder)


class Lease:
    """A lease that this process holds. A thread updates its time until it is released."""

    def __init__(self, path: Path, file: int) -> None:
        self.path, self._file = path, file
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def _renew(self) -> None:
        while not self._stop.wait(_PERIOD_S):
            with suppress(OSError):  # the file system may be unavailable for a while
                os.utime(self._file)

    def check(self) -> None:
        """Check that no other process took over the lease, for example during a machine's sleep.

        Raises:
            ValueError: another process took it over.
        """
        if _identity(self.path) != os.fstat(self._file).st_ino:
            raise ValueError(
                f"{self.path}: expected to hold this lease, found it taken over by another "
                "process; give the same command again when that has ended"
            )

    def release(self) -> None:
        """Release the lease, so that another process can take it at once."""
        self._stop.set()
        self._thread.join()
        if _identity(self.path) == os.fstat(self._file).st_ino:
            self.path.unlink(missing_ok=True)
        os.close(self._file)


class Fence:
    """Check for a process that depends on its parent's lease, and must stop when that ends."""

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._touched, self._seen = self._status().st_mtime_ns, _time()

    def check(self) -> None:
        """Check the lease. If its update is overdue, as after a machine's sleep, wait for it.

        Raises:
            ValueError: the lease was taken over, or has expired.
        """
        end = time.monotonic() + 2 * _PERIOD_S
        while _identity(self._path) == self._status().st_ino:
            if self._is_fresh():
                return
            if time.monotonic() > end:
                break
            time.sleep(0.5)
        raise ValueError(
            f"{self._path}: expected this lease to hold, found it expired or taken over; give the "
            "same command again when no other run is at work"
        )

    def _status(self) -> os.stat_result:
        return os.fstat(self._file)

    def _is_fresh(self) -> bool:
        """True if the last update seen is not older than :data:`EXPIRY_S`."""
        touched, now = self._status().st_mtime_ns, _time()
        if touched != self._touched:
            self._touched, self._seen = touched, now
        return now - self._seen <= EXPIRY_S


def _time() -> float:
    """Seconds of a clock that is never reset, including sleep of the machine where possible."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass
class _Watched:
    """Observations of a lease of another machine.

    Arguments:
        state: inode, modification time and content of the file.
        looked: time of the last look, on this process's clock.
        still_s: seconds of watching without a change.
        moved: True if a change was seen, so that the holder was alive.
        told: True if a message about the watching was printed.
    """

    state: tuple[int, int, bytes]
    looked: float
    still_s: float = 0.0
    moved: bool = False
    told: bool = False


@dataclass(frozen=True)
class _Found:
    """A lease file that may have a holder; ``lives`` is True if the holder is surely alive."""

    who: Holder
    path: Path
    lives: bool


def holders(*folders: Path) -> dict[Path, Holder]:
    """The living holders of leases in these folders, by the path of the lease.

    Leases of other machines are watched, all at the same time, until the state of each is known.
    """
    while True:
        paths = [path for folder in folders for _, _, path in _files(folder)]
        found = [each for each in map(_look, sorted(paths)) if each is not None]
        if all(each.lives for each in found):
            return {each.path: each.who for each in found}
        _pause()


@contextmanager
def held(folder: Path, name: str, patience_s: float = 0.0) -> Iterator[Lease]:
    """Context in which this process holds a lease.

    Arguments:
        folder: folder of the leases; created in an existing parent if it is missing.
        name: name of the lease: letters, digits and hyphens.
        patience_s: seconds to wait for another living holder. A holder on another machine is
            first watched, to find out whether it is alive.

    Raises:
        ValueError: another process holds the lease. The message names it.
    """
    lease = acquire(folder, name, patience_s)
    try:
        yield lease
    finally:
        lease.release()


def acquire(folder: Path, name: str, patience_s: float = 0.0) -> Lease:
    """Like :func:`held`, but the caller must release the lease."""
    deadline = time.monotonic() + patience_s
    while True:
        folder.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # a holder that ended may have removed the folder
            found = _try(folder, name)
            if isinstance(found, Lease):
                return found
            if found is not None and found.lives and time.monotonic() >= deadline:
                raise ValueError(
                    f"{folder.parent}: expected no one else at work on {name}, found {found.who}; "
                    f"wait for it or stop it (its lease {found.path} expires at most "
                    f"{EXPIRY_S:.0f} s after it ends)"
                )
        _pause()


def _pause() -> None:
    time.sleep(random.uniform(0.05, 0.3))


def _try(folder: Path, name: str) -> Lease | _Found | None:
    """The lease, or its holder, or None if several processes tried at the same time.

    Only the next holder removes expired files. A process creates its file before it looks at the
    others, so of two processes that try at the same time, the later one sees the earlier one.
    """
    there = _numbered(folder, name)
    found = _held(there.values())
    if found is not None:
        return found
    mine = max(there, default=-1) + 1
    path = folder / f"{name}.{mine}"
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        return None
    try:
        os.write(file, json.dumps(asdict(Holder.me())).encode())
        others = [place for number, place in _numbered(folder, name).items() if number != mine]
        rival = _held(others)
    except BaseException:
        path.unlink(missing_ok=True)
        os.close(file)
        raise
    if rival is not None:
        path.unlink(missing_ok=True)
        os.close(file)
        return None
    for place in others:
        place.unlink(missing_ok=True)
    return Lease(path, file)


def _held(paths: Iterable[Path]) -> _Found | None:
    """The holder in these files of one lease, or None; first choice is one surely alive."""
    found = [each for each in map(_look, paths) if each is not None]
    return max(found, key=lambda each: each.lives, default=None)


def _numbered(folder: Path, name: str) -> dict[int, Path]:
    return {number: path for there, number, path in _files(folder) if there == name}


def _files(folder: Path) -> Iterator[tuple[str, int, Path]]:
    """Name, number and path of every lease file; empty if the folder does not exist."""
    for path in folder.glob("*.*"):
        if match := _NAME.fullmatch(path.name):
            yield match[1], int(match[2]), path


def _look(path: Path) -> _Found | None:
    """The holder in a lease file; None if the file is missing or the lease has expired."""
    state = _state(path)
    if state is None:
        _watched.pop(path, None)
        return None
    who = _parse(state[-1])
    if who.place and who.place == process_space():
        alive = bool(who.started) and who.started == started_at(who.pid)
        return _Found(who, path, lives=True) if alive else None
    seen, now = _watched.get(path), time.monotonic()
    if seen is None:
        seen = _watched[path] = _Watched(state, now)
    elif seen.state != state:
        seen = _watched[path] = _Watched(state, now, moved=True)
    seen.still_s += min(now - seen.looked, _GAP_S)
    seen.looked = now
    if seen.still_s > EXPIRY_S:
        return None
    if seen.still_s > _NOTICE_S and not seen.moved and not seen.told:
        seen.told = True
        say(f"{path}: watched for up to {EXPIRY_S:.0f} s, to see whether {who} is still at work")
    return _Found(who, path, lives=seen.moved)


def _state(path: Path) -> tuple[int, int, bytes] | None:
    """Inode, modification time and content of a lease file; None if it does not exist.

    The file is opened each time, because network file systems then ask the server for its time.
    """
    try:
        content = b""
        with suppress(ValueError, IsADirectoryError):
            content = read_plain(path, _LARGEST, links=False)
        status = path.lstat()
    except FileNotFoundError:
        return None
    if S_ISDIR(status.st_mode):
        raise ValueError(f"{path}: expected a lease, found a folder; move it away")
    return status.st_ino, status.st_mtime_ns, content


def _parse(content: bytes) -> Holder:
    """The holder in a lease's content; unknown if it is still empty, or damaged."""
    try:
        return _HOLDER.validate_json(content, strict=True)
    except ValidationError:
        return _UNKNOWN


def _identity(path: Path) -> int | None:
    """Inode of a file, which tells it from other files of the same name; None if it is missing."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
