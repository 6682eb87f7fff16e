"""One run at a time in a folder."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
