"""What workers have finished: one JSON line per image, written after the image itself.

An image without a line is not finished. The line of a writer that was killed in the middle
does not parse and is passed over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from threedident.manifest import Channels
from threedident.storage import SplitFolder, sha256

_PATTERN = "journal-*.jsonl"


@dataclass(frozen=True)
class Record:
    """A finished image.

    Arguments:
        index: the row.
        digest: SHA-256 of the file.
        total: sum over the pixels of each channel, 0..255.
        square_total: sum of squares over the pixels of each channel.
    """

    index: int
    digest: str
    total: tuple[int, int, int]
    square_total: tuple[int, int, int]


def record_of(index: int, image: NDArray[np.uint8], content: bytes) -> Record:
    """The record of an image of shape (H, W, 3) and its file's content."""
    pixels = image.reshape(-1, 3).astype(np.int64)
    red, green, blue = pixels.sum(axis=0).tolist()
    red2, green2, blue2 = (pixels**2).sum(axis=0).tolist()
    return Record(index, sha256(content), (red, green, blue), (red2, green2, blue2))


@contextmanager
def open_journal(folder: SplitFolder) -> Iterator[TextIO]:
    """A journal of this process's own."""
    name = _PATTERN.replace("*", f"{os.getpid()}-{os.urandom(4).hex()}")
    with (folder.scratch / name).open("w", encoding="utf-8") as file:
        yield file


def append(file: TextIO, record: Record) -> None:
    """Write a record through to the disk."""
    file.write(json.dumps(asdict(record)) + "\n")
    file.flush()
    os.fsync(file.fileno())


def read_journals(folder: SplitFolder) -> dict[int, Record]:
    """All records by index."""
    paths = sorted(folder.scratch.glob(_PATTERN), key=lambda path: path.stat().st_mtime_ns)
    return {record.index: record for path in paths for record in _records(path)}


def _records(path: Path) -> Iterator[Record]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            fields = json.loads(line)
            total, squares = tuple(fields["total"]), tuple(fields["square_total"])
            yield Record(fields["index"], fields["digest"], total, squares)
        except (ValueError, KeyError, TypeError):
            continue


def channels_of(records: list[Record]) -> Channels:
    """Exact sums over several images."""
    sums = np.zeros((2, 3), dtype=np.int64)
    for record in records:
        sums += (record.total, record.square_total)
    (red, green, blue), (red2, green2, blue2) = sums.tolist()
    return Channels(total=(red, green, blue), square_total=(red2, green2, blue2))
