"""What ends long work before its time, in words for the user, and how messages quote others."""

from __future__ import annotations

import errno
from pathlib import Path

_WORDS = {
    errno.ENOSPC: "expected room on the disk, found it full; free some space",
    errno.EDQUOT: "expected room in the quota, found it used up; free some space",
    errno.EEXIST: "expected a folder there, found a file; give another path",
    errno.ENOTDIR: "expected a folder on the way there, found a file; give another path",
    errno.EISDIR: "expected a file there, found a folder; move it away",
    errno.EACCES: "expected leave to read and write there, found none; change its permissions",
    errno.EPERM: "expected leave to read and write there, found none; change its permissions",
    errno.EROFS: "expected a writable file system, found a read-only one; give another path",
}


class Interrupted(Exception):  # noqa: N818
    """The user stopped long work; the message says what is safe and how to go on."""


def printable(text: str, most: int = 60) -> str:
    """What a file or a stranger says, for a message: in one line, bounded, nothing for terminals.

    Arguments:
        text: of any kind and length.
        most: characters; a longer text is cut in its middle, since both its ends tell something.
    """
    kept = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    if len(kept) <= most:
        return kept
    half = most // 2
    return f"{kept[:half]} ... {kept[-half:]}"


def found_folder(path: Path) -> str:
    """One line on a folder where a file is to be."""
    return f"{path}: {_WORDS[errno.EISDIR]}"


def explain(error: OSError) -> str:
    """One line on a file that could not be read or written, and what to do."""
    place = error.filename2 or error.filename or "the data set"
    reason = _WORDS.get(error.errno or 0, f"{error.strerror or error}; check the path")
    return f"{place}: {reason}"
