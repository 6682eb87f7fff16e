"""What ends long work before its time, in words for the user."""

from __future__ import annotations

import errno
from pathlib import Path

from threedident.quoting import printable

_WORDS = {
    errno.ENOSPC: "expected room on the disk, found it full; free some space",
    errno.EDQUOT: "expected room in the quota, found it used up; free some space",
    errno.EEXIST: "expected a folder there, found a file; give another path",
    errno.ENOENT: "expected a file or folder there, found nothing; check the path",
    errno.ENOTDIR: "expected a folder on the way there, found a file; give another path",
    errno.EISDIR: "expected a file there, found a folder; move it away",
    errno.EACCES: "expected leave to read and write there, found none; change its permissions",
    errno.EPERM: "expected leave to read and write there, found none; change its permissions",
    errno.EROFS: "expected a writable file system, found a read-only one; give another path",
}


class Interrupted(Exception):  # noqa: N818
    """The user stopped long work; the message says what is safe and how to go on."""


def found_folder(path: Path) -> str:
    """One line on a folder where a file is to be."""
    return f"{path}: {_WORDS[errno.EISDIR]}"


def explain(error: OSError) -> str:
    """One line on a file that could not be read or written, and what to do."""
    place = printable(str(error.filename2 or error.filename or "the data set"))
    other = f"expected a file or folder there, found {error.strerror or error}; check the path"
    return f"{place}: {_WORDS.get(error.errno or 0, other)}"
