"""Room on the disk, and sizes in words."""

from __future__ import annotations

import shutil
from pathlib import Path

BLOCK = 4096  # what a file takes at least, and is rounded up to


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
