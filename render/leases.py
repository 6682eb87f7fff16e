"""Leases: a file says who is at work on something, and stops being true when its holder stops.

A lease is a small file that its holder touches every few seconds. It has expired when it was
not touched for :data:`EXPIRY_S`, by the clock of the file system that holds it, or at once
when its holder ran in the same process space as the reader and is gone. The files of one lease
are numbered: whoever makes the file of the next number, which only one process can, has taken
over, and the former holder sees that when it next looks. Nothing here needs locks, so leases
hold on network file systems too.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

EXPIRY_S = 60.0
_PERIOD_S = EXPIRY_S / 6
_RELEASED_S = 0.0  # the time of last touch that says so


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
        return cls(socket.gethostname(), _place(), pid, _started(pid))

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


_UNKNOWN = Holder("an unknown host", "", 0, "")


class Lease:
    """A lease that this process holds; a thread of its own touches it until it is released."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def _renew(self) -> None:
        while not self._stop.wait(_PERIOD_S):
            _touch(self.path)

    def release(self) -> None:
        """Let the next holder in at once."""
        self._stop.set()
        self._thread.join()
        _touch(self.path, _RELEASED_S)


def is_current(path: Path) -> bool:
    """Whether nobody has taken the lease at ``path`` over."""
    name, _, number = path.name.rpartition(".")
    return path.exists() and not _path(path.parent, name, int(number) + 1).exists()


def holders(folder: Path) -> dict[str, Holder]:
    """Who holds a lease of ``folder`` now, by the lease's name."""
    latest = _latest(folder)
    now = _now(folder) if latest else 0.0
    found = {name: _holder(_path(folder, name, number), now) for name, number in latest.items()}
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
    folder.mkdir(exist_ok=True)
    deadline = time.monotonic() + patience_s
    while True:
        latest = _latest(folder).get(name, -1)
        who = _holder(_path(folder, name, latest), _now(folder)) if latest >= 0 else None
        path = _take(folder, name, latest + 1) if who is None else None
        if path is not None:
            return Lease(path)
        if who is not None and time.monotonic() >= deadline:
            raise ValueError(
                f"{folder.parent}: expected no one else at work on {name}, found {who}; wait for "
                f"it or stop it (a lease ends {EXPIRY_S:.0f} s after its holder at the latest)"
            )
        time.sleep(0.2)


def _take(folder: Path, name: str, number: int) -> Path | None:
    """Make the file of the number after the one that was found dead; None if others were first."""
    path = _path(folder, name, number)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(json.dumps(asdict(Holder.me())))
    except FileExistsError:
        return None
    if _latest(folder).get(name) != number:  # what was found dead was itself long succeeded
        path.unlink(missing_ok=True)
        return None
    for there, older in list(_files(folder)):
        if there == name and older < number:
            _path(folder, name, older).unlink(missing_ok=True)
    return path


def _latest(folder: Path) -> dict[str, int]:
    """The highest number of each lease in a folder."""
    latest: dict[str, int] = {}
    for name, number in _files(folder):
        latest[name] = max(number, latest.get(name, -1))
    return latest


def _path(folder: Path, name: str, number: int) -> Path:
    return folder / f"{name}.{number}"


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    for path in folder.glob("[!.]*.*"):
        name, _, end = path.name.rpartition(".")
        if end.isdigit():
            yield name, int(end)


def _holder(path: Path, now: float) -> Holder | None:
    """Who holds the lease in a file; None where it was released or has expired."""
    try:
        touched, text = path.stat().st_mtime, path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    who = _parse(text)
    if touched == _RELEASED_S:
        return None
    if who.place and who.place == _place():
        return who if who.started == _started(who.pid) else None
    return who if now - touched <= EXPIRY_S else None


def _parse(text: str) -> Holder:
    """A holder that was just made, or damaged, counts as unknown until it expires."""
    try:
        return Holder(**json.loads(text))
    except (ValueError, TypeError):
        return _UNKNOWN


def _touch(path: Path, stamp: float | None = None) -> None:
    try:
        os.utime(path, None if stamp is None else (stamp, stamp))
    except FileNotFoundError:
        return  # taken over, or the folder was finished


def _now(folder: Path) -> float:
    """The time by the clock of the file system, whose machine may have another than ours."""
    probe = folder / f".clock.{os.urandom(6).hex()}.tmp"
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink()


def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""  # no such thing here: leases end by time alone


def _started(pid: int) -> str:
    """When a process started, in the kernel's ticks; empty where none of that id is alive."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]
