"""File handling: atomic writing, safe opening, locks, digests and disk space."""

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
MOST_ARRAY = 2**30  # bytes of an array; the latents of the largest data set need a tenth of it
BLOCK = 4096  # bytes; the size of a file on disk is rounded up to a multiple of it


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears at ``path`` only when it is complete.

    Raises:
        OSError: the file cannot be written; the error's ``filename`` is ``path``.
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
    """Write ``content`` to ``path`` atomically: a reader sees all of it or the former file."""
    with atomic_write(path) as file:
        file.write(content)


def sweep(*folders: Path) -> None:
    """Remove the temporary files that killed processes left in ``folders``."""
    for folder in folders:
        for path in folder.glob(".*.tmp"):
            if is_leftover(path):
                path.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """True if a file's name is a temporary name of :func:`atomic_write`."""
    return _LEFTOVER.fullmatch(path.name) is not None


def open_plain(path: Path, links: bool = True) -> io.BufferedReader:
    """A regular file from an untrusted source, opened for reading.

    Pipes and devices are refused: opening a pipe blocks until somebody writes to it, and reading
    a device may never end.

    Arguments:
        path: path of the file.
        links: True if a symbolic link to a regular file is allowed.

    Raises:
        ValueError: the path is not a regular file.
        OSError: the path does not exist, is a folder, or cannot be read.
    """
    return open(_plain_handle(path, os.O_RDONLY, links), "rb")


def open_appending(path: Path) -> TextIO:
    """A regular text file, opened for appending. It is created if it does not exist.

    Raises:
        ValueError: the path is not a regular file.
        OSError: the path is a folder, or cannot be written.
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
    """The content of a file from an untrusted source.

    Arguments:
        path: path of the file.
        most: maximum size in bytes.
        links: see :func:`open_plain`.

    Raises:
        ValueError: the file is larger, or :func:`open_plain` raises it.
        OSError: see :func:`open_plain`.
    """
    with open_plain(path, links) as file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > most else file.read(size + 1)
        if size < len(content) <= most:  # the file grew, or the system reports no size for it
            content += file.read(most + 1 - len(content))
        size = max(size, len(content))
        if size > most:
            raise ValueError(
                f"{path}: expected at most {spell_bytes(most)}, found {spell_bytes(size)}; make "
                "it smaller"
            )
        return content


def whole_lines(file: BinaryIO, longest: int) -> Iterator[bytes]:
    """The lines of a file, without those of ``longest`` bytes or more, which are skipped."""
    within = False  # inside a line that is too long
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
        path: path of the file.
        digest: recorded SHA-256 of the file; None to skip this check.

    Raises:
        ValueError: the file is missing, truncated, not a plain array, or has another digest.
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
    except Exception as error:  # numpy raises many kinds of errors on damaged files
        raise ValueError(
            f"{path}: expected a plain npy array as numpy.save writes it, found none "
            f"({printable(str(error)) or type(error).__name__}); save the array again"
        ) from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path}: expected one npy array, found an archive; save the array alone")
    return array


def sha256(content: bytes) -> str:
    """SHA-256 of ``content`` in hexadecimal, the digest that data sets record."""
    return hashlib.sha256(content).hexdigest()


@contextmanager
def locked(folder: Path, wait: bool = False) -> Iterator[None]:
    """Lock ``folder`` against other runs on this machine. The lock ends with the process.

    The folder is created if it does not exist.

    Arguments:
        folder: folder in which only one run may work at a time.
        wait: True to wait until another run releases the lock.

    Raises:
        ValueError: another run holds the lock, and ``wait`` is False.
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
            raise  # some network file systems cannot lock a folder: continue without a lock


def on_disk(size: int) -> int:
    """Disk space in bytes that a file of ``size`` bytes uses."""
    return -(-size // BLOCK) * BLOCK


def free_bytes(place: Path) -> int:
    """Free disk space in bytes at ``place``, which need not exist yet."""
    place = place.resolve()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


def require_room(place: Path, needed: float, purpose: str, advice: str) -> None:
    """Check that the disk of ``place`` has enough free space, before anything is written.

    Arguments:
        place: a file or folder, which need not exist yet.
        needed: bytes needed.
        purpose: use of the space, such as ``for the packs``.
        advice: what to do if the space is too small.

    Raises:
        ValueError: the free space is smaller than ``needed``.
    """
    free = free_bytes(place)
    if needed > free:
        raise ValueError(
            f"{place}: expected room for about {spell_bytes(needed)} on the disk {purpose}, found "
            f"{spell_bytes(free)}; {advice}"
        )


def spell_bytes(count: float) -> str:
    """A size in bytes as readable text, such as ``7.6 GB``."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"
