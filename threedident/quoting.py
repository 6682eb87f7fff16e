"""What strangers' files and servers said, as messages quote it."""

from __future__ import annotations

_MOST = 300


def printable(text: str, most: int = _MOST) -> str:
    """A text in one line, with nothing for terminals.

    Arguments:
        text: of any kind and length.
        most: characters; a longer text is cut in its middle, since both its ends tell something.
    """
    kept = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    if len(kept) <= most:
        return kept
    half = most // 2
    return f"{kept[:half]} ... {kept[-half:]}"
