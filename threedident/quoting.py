"""What strangers' files and servers said, as messages quote it."""

from __future__ import annotations

_MOST = 300


def printable(text: str, most: int = _MOST) -> str:
    """A text in one line of at most ``most`` characters and dots, with nothing for terminals."""
    kept = "".join(c if c.isprintable() else "?" for c in " ".join(text[: 4 * most].split()))
    return kept if len(kept) <= most and len(text) <= 4 * most else f"{kept[:most]}..."
