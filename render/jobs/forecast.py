"""Forecast of a long run: disk space before it starts, and time when its rate is known."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from render.workers.journal import RowRecord
from threedident.runtime.files import BLOCK, free_bytes, on_disk, require_room, spell_bytes
from threedident.runtime.progress import spell_time
from threedident.storage.manifest import Rendering

_BYTES = (2.5, 0.87)  # a PNG of p pixels takes about 2.5 p^0.87 bytes, measured from 32 to 512 px
_ANNOTATION = 0.6  # bytes of mask and depth together per byte of an image
_LONG_S = 120.0


class Forecast:
    """Forecast of disk space and time for rendering rows of a data set.

    Arguments:
        root: folder of the data set.
        rendering: settings of the render.
        count: number of rows to render, over all splits.
        name: name of the data set in messages; by default its folder.
    """

    def __init__(
        self, root: Path, rendering: Rendering, count: int, name: str | None = None
    ) -> None:
        self._root, self._rendering, self._total = root, rendering, count
        self._name = name or str(root)
        self._start, self._done, self._bytes = time.monotonic(), 0, 0
        self._said = False

    def check_disk(self) -> None:
        """Check that the disk has enough space for the pictures.

        Raises:
            ValueError: the space is too small.
        """
        self._check_room(self._needed())

    def _needed(self) -> float:
        """Bytes for the remaining rows, estimated from written rows, or from typical sizes."""
        left = self._total - self._done
        return left * (self._bytes / self._done if self._done else self._typical())

    def _typical(self) -> float:
        factor, power = _BYTES
        image = factor * float(self._rendering.resolution**2) ** power
        pictures = 1 + len(self._rendering.annotations)
        beside = 1.0 + _ANNOTATION * (pictures - 1) / 2
        return float(image * beside + pictures * BLOCK / 2)

    def _check_room(self, needed: float) -> None:
        advice = "free some space, or give fewer images or another --out"
        require_room(self._root, needed, "for the images", advice)

    def opening(self) -> str:
        """A line about the run before its first image."""
        edge, pictures = self._rendering.resolution, self._rendering.annotations
        beside = f" with {' and '.join(pictures)}" if pictures else ""
        free = spell_bytes(free_bytes(self._root))
        return (
            f"{self._name}: {self._total} images of {edge} x {edge} pixels{beside} to "
            f"render, about {spell_bytes(self._needed())} of {free} free"
        )

    def count(self, record: RowRecord) -> None:
        """Count a finished row and its bytes."""
        self._done += 1
        self._bytes += sum(map(on_disk, record.sizes))

    def first_chunk(self, say: Callable[[str], None]) -> None:
        """Print the remaining time, and check the disk space again. Only the first call does this.

        Raises:
            ValueError: the disk has too little space for the remaining rows.
        """
        if self._said or not self._done:
            return
        self._said = True
        needed = self._needed()
        self._check_room(needed)
        pace = self._done / max(time.monotonic() - self._start, 1e-9)
        left_s = (self._total - self._done) / pace
        if left_s > _LONG_S:
            say(
                f"{self._name}: at {pace:.3g} images/s the other "
                f"{self._total - self._done} take about {spell_time(left_s)} and "
                f"{spell_bytes(needed)}"
            )


def folder_bytes(folder: Path) -> int:
    """Total size in bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
