"""What ends long work before its time, in words for the user."""

from __future__ import annotations

import errno


class Interrupted(Exception):  # noqa: N818
    """The user stopped long work; the message says what is safe and how to go on."""


def explain(error: OSError) -> str:
    """One line on a file that could not be read or written, and what to do."""
    place = error.filename or "the data set"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{place}: expected room on the disk, found it full; free some space"
    return f"{place}: {error.strerror or error}; check the path and who may write there"
