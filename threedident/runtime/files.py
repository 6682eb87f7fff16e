"""Files: written whole, opened safely, locked, digested, and the room that they take."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from threedident.runtime.errors import explain, printable

_TEMPORARY = ".{name}.{token}.tmp"
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]+\.tmp")
MOST_JSON = 2**24  # bytes of a record, such as a manifest
MOST_ARRAY = 2**30  # latents of as many rows as there may be take a tenth of it
BLOCK = 4096  # what a file takes at least, and is rounded up to


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears under ``path`` whole or not at all.

    Raises:
        OSError: it cannot be written; its ``filename`` is ``path``.
    """
    temporary = path.with_name(_TEMPORARY.format(name=path.name, token=os.urandom(6).hex()))
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename = str(path)  # the name that the user knows
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Put ``content`` under ``path``, whole or not at all."""
    with atomic_write(path) as file:
        file.write(content)


def sweep(*folders: Path) -> None:
    """Remove what killed writers left in ``folders``."""
    for folder in folders:
        for path in folder.glob(".*.tmp"):
            if is_leftover(path):
                path.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Whether a file's name is one that :func:`atomic_write` writes under."""
    return _LEFTOVER.fullmatch(path.name) is not None


def open_plain(path: Path, links: bool = True) -> io.BufferedReader:
    """A file that others may have put there, opened to be read.

    To open a pipe waits for whoever writes to it, and a device may have no end, so neither is
    opened.

    Arguments:
        path: of the file.
        links: whether it may be a link to a plain file.

    Raises:
        ValueError: something else than a plain file is there.
        OSError: nothing is there, a folder, or what may not be read.
    """
    return open(_plain_handle(path, os.O_RDONLY, links), "rb")


def open_appending(path: Path) -> TextIO:
    """A plain file of text that what is written is added to; made where it is missing.

    Raises:
        ValueError: something else than a plain file is there.
        OSError: a folder is there, or what may not be written.
    """
    handle = _plain_handle(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    return open(handle, "a", encoding="utf-8")  # noqa: PTH123


def _plain_handle(path: Path, flags: int, links: bool = True) -> int:
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        handle = os.open(path, flags if links else flags | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENODEV):  # links, sockets, pipes
            raise ValueError(f"{path}: expected a plain file, found {error.strerror}") from None
        raise
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise ValueError(f"{path}: expected a plain file, found another kind; replace it")
    return handle


def read_plain(path: Path, most: int, links: bool = True) -> bytes:
    """The content of a file that others may have put there.

    Arguments:
        path: of the file.
        most: bytes that it may have.
        links: as :func:`open_plain` takes it.

    Raises:
        ValueError: it is larger, or as :func:`open_plain` does.
        OSError: as :func:`open_plain` does.
    """
    with open_plain(path, links) as file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > most else file.read(size + 1)
        if size < len(content) <= most:  # it grew, or the system does not know its size
            content += file.read(most + 1 - len(content))
        size = max(size, len(content))
        if size > most:
            raise ValueError(
                f"{path}: expected at most {spell_bytes(most)}, found {spell_bytes(size)}; make "
                "it smaller"
            )
        return content


def whole_lines(file: BinaryIO, longest: int) -> Iterator[bytes]:
    """The lines of a file; those of ``longest`` bytes and more are passed over unread."""
    within = False  # a line that is too long
    while line := file.readline(longest):
        begun, within = within, not line.endswith(b"\n") and len(line) == longest
        if not (begun or within):
            yield line


def npy_bytes(array: NDArray[np.generic]) -> bytes:
    """``array`` as the content of an npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def load_npy(path: Path, digest: str | None = None) -> NDArray[np.generic]:
    """The array in an npy file.

    Arguments:
        path: of the file.
        digest: SHA-256 of the file, where one was recorded.

    Raises:
        ValueError: the file is missing, truncated or no plain array, or not the recorded one.
    """
    try:
        content = read_plain(path, MOST_ARRAY)
    except FileNotFoundError:
        raise ValueError(f"{path}: expected an npy file, found nothing; check the path") from None
    except OSError as error:
        raise ValueError(explain(error)) from None
    if digest is not None and sha256(content) != digest:
        raise ValueError(
            f"{path}: expected the file that was written, whose SHA-256 begins with "
            f"{digest[:12]}, found it altered; restore it from a copy, or give the command that "
            "wrote it again"
        )
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # numpy's reader raises a dozen kinds on damaged files
        raise ValueError(
            f"{path}: expected a plain npy array as numpy.save writes it, found none "
            f"({printable(str(error)) or type(error).__name__}); save the array again"
        ) from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path}: expected one npy array, found an archive; save the array alone")
    return array


def sha256(content: bytes) -> str:
    """The digest that data sets record, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@contextmanager
def locked(folder: Path, wait: bool = False) -> Iterator[None]:
    """Keep other runs of this machine out of ``folder``; the lock dies with the process.

    The folder is made where it is missing.

    Arguments:
        folder: where one run at a time may be at work.
        wait: for another one to end, where it is soon done.

    Raises:
        ValueError: another run is at work there, and is not waited for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        _lock(handle, folder, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, folder: Path, operation: int) -> None:
    try:
        fcntl.flock(handle, operation)
    except BlockingIOError:
        raise ValueError(
            f"{folder}: expected no other run at work here, found one; wait for it to end"
        ) from None
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP):
            raise  # network file systems cannot lock a folder: go on without


def on_disk(size: int) -> int:
    """The room that a file of ``size`` bytes takes."""
    return -(-size // BLOCK) * BLOCK


def free_bytes(place: Path) -> int:
    """The room left where ``place`` is, or will be."""
    place = place.resolve()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def require_room(place: Path, needed: float, purpose: str, advice: str) -> None:
    """Make sure that the disk of ``place`` has room before anything is written there.

    Arguments:
        place: a file or folder, there or still to be made.
        needed: bytes.
        purpose: what they are for, such as ``for the packs``.
        advice: what to do where there is too little.

    Raises:
        ValueError: there is too little.
    """
    free = free_bytes(place)
    if needed > free:
        raise ValueError(
            f"{place}: expected room for about {spell_bytes(needed)} on the disk {purpose}, found "
            f"{spell_bytes(free)}; {advice}"
        )


def spell_bytes(count: float) -> str:
    """A size for people, such as ``7.6 GB``."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"
