"""Leases: a file says who is at work on something, and stops being true when its holder stops.

A lease is a small file that its holder touches every few seconds. It has expired when a process
has watched it for :data:`EXPIRY_S`, by its own clock, without a change, or at once when its
holder ran in the same process space as the reader and is gone. No date that a file bears counts,
since the clocks of machines differ, and step. So whoever comes to a lease of another machine
watches it first: a holder that lives shows itself within seconds. A lease that cannot be read
expires like any other.

The files of one lease are numbered: whoever makes the file after those found dead, which only one
process can, and then finds no other alive, has taken over, and the former holder sees that when
it next looks. Nothing here needs locks, so leases hold on network file systems too.
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
_NOTICE_S = 2.0  # of watching, after which to say so
_GAP_S = 1.0  # between two looks; the rest of a longer one is not watched time
_LARGEST = 4096  # bytes
_NAME = re.compile(r"([^.].*)\.([0-9]{1,9})")
_watched: dict[Path, _Watched] = {}  # by this process, which forgets those that are gone


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
        self._path, self._file = path, os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._touched, self._seen = self._status().st_mtime_ns, _time()

    def check(self) -> None:
        """Wait for the lease to be touched, if that is overdue, as after a machine's sleep.

        Raises:
            ValueError: it was taken over, or has expired.
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
        """Whether it was touched since the last look, or that look was not long ago."""
        touched, now = self._status().st_mtime_ns, _time()
        if touched != self._touched:
            self._touched, self._seen = touched, now
        return now - self._seen <= EXPIRY_S


def _time() -> float:
    """Seconds of a clock that nobody sets, with those that the machine slept where it tells."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass
class _Watched:
    """A lease that was looked at.

    Arguments:
        state: the file's identity, date and content.
        looked: when, on this process's clock.
        still_s: for how long it was watched without a change.
        moved: whether it was seen to change, so that its holder lived.
        told: whether the user knows that it is watched.
    """

    state: tuple[int, int, bytes]
    looked: float
    still_s: float = 0.0
    moved: bool = False
    told: bool = False


@dataclass(frozen=True)
class _Found:
    """Who holds a lease, as far as is known; ``lives`` says whether that one surely lives."""

    who: Holder
    path: Path
    lives: bool


def holders(*folders: Path) -> dict[Path, Holder]:
    """Who holds leases of these folders now, by the lease's file.

    Leases of other machines are watched, all at once, until it is known which of them hold.
    """
    while True:
        paths = [path for folder in folders for _, _, path in _files(folder)]
        found = [each for each in map(_look, sorted(paths)) if each is not None]
        if all(each.lives for each in found):
            return {each.path: each.who for each in found}
        _pause()


@contextmanager
def held(folder: Path, name: str, patience_s: float = 0.0) -> Iterator[Lease]:
    """Hold a lease.

    Arguments:
        folder: where leases lie; made in its parent where it is missing.
        name: what is leased; letters, digits and hyphens.
        patience_s: how long to wait for another holder that lives; one of another machine is
            watched first to know that.

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
            found = _try(folder, name)
            if isinstance(found, Lease):
                return found
            if found is not None and found.lives and time.monotonic() >= deadline:
                raise ValueError(
                    f"{folder.parent}: expected no one else at work on {name}, found {found.who}; "
                    f"wait for it or stop it (its lease {found.path} ends {EXPIRY_S:.0f} s after "
                    "it at the latest)"
                )
        _pause()


def _pause() -> None:
    time.sleep(random.uniform(0.05, 0.3))


def _try(folder: Path, name: str) -> Lease | _Found | None:
    """The lease, or who holds it, or None where several came at once.

    Files that were found dead are only removed by who comes after them. A file is made before
    the others are looked at: of two that come at once, the later sees the earlier.
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
    """Who holds one of these files of a lease, as far as is known: who surely does, first."""
    found = [each for each in map(_look, paths) if each is not None]
    return max(found, key=lambda each: each.lives, default=None)


def _numbered(folder: Path, name: str) -> dict[int, Path]:
    return {number: path for there, number, path in _files(folder) if there == name}


def _files(folder: Path) -> Iterator[tuple[str, int, Path]]:
    """Name, number and path of every file of a lease; none where there is no folder."""
    for path in folder.glob("*.*"):
        if match := _NAME.fullmatch(path.name):
            yield match[1], int(match[2]), path


def _look(path: Path) -> _Found | None:
    """Who holds the lease in a file; None where it is gone or has expired."""
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
    """What changes of a lease as long as its holder lives; None where there is none.

    To open a file anew makes network file systems ask their server for its date.
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
    """A holder that was just made, or is damaged, counts as unknown until it expires."""
    try:
        return _HOLDER.validate_json(content, strict=True)
    except ValidationError:
        return _UNKNOWN


def _identity(path: Path) -> int | None:
    """Tells a file from others that had or will have its name; None where there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None
