"""Journals of finished rows: one JSON line per row, written after the row's pictures.

A row without a line is not finished. A line that is incomplete, because its worker was killed, or
that no worker can have written, is skipped.
"""

from __future__ import annotations

import io
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from threedident.runtime.files import open_plain, read_plain, sha256, whole_lines
from threedident.storage.folder import MOST_PICTURE, MOST_ROWS, SplitFolder
from threedident.storage.statistics import Channels

_PATTERN = "journal-{chunk}-{token}.jsonl"
_LONGEST = 4096  # bytes of a line
_AT_ONCE = 2**24


@dataclass(frozen=True, slots=True)
class RowRecord:
    """A finished row.

    Arguments:
        index: number of the row.
        digests: SHA-256 of each of its pictures, first the image, then the annotations.
        sizes: sizes of these pictures in bytes.
        channels: sums over the image's pixels.
    """

    index: Annotated[int, Field(ge=0, lt=MOST_ROWS)]
    digests: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...]
    sizes: tuple[Annotated[int, Field(gt=0, lt=MOST_PICTURE)], ...]
    channels: Channels


_RECORD = TypeAdapter(RowRecord)


def record_of(index: int, image: NDArray[np.uint8], contents: Sequence[bytes]) -> RowRecord:
    """The record of a row, from its image, shape (H, W, 3), and the contents of all its files."""
    return RowRecord(
        index,
        tuple(sha256(content) for content in contents),
        tuple(len(content) for content in contents),
        Channels.of(image),
    )


@contextmanager
def open_journal(folder: SplitFolder, chunk: str) -> Iterator[TextIO]:
    """A new journal of this process for the chunk of that name."""
    name = _PATTERN.format(chunk=chunk, token=os.urandom(6).hex())
    with (folder.scratch / name).open("w", encoding="utf-8") as file:
        yield file


def append(file: TextIO, record: RowRecord) -> None:
    """Append a record, and wait until it is on the disk."""
    file.write(json.dumps(asdict(record)) + "\n")
    file.flush()
    os.fsync(file.fileno())


def read_journals(
    folder: SplitFolder, annotations: Sequence[str], chunk: str = "*"
) -> dict[int, RowRecord]:
    """Records of rows by index, from the journals of one chunk, or of all by default.

    Records without exactly these annotations are left out. Two workers on different hardware may
    write different bytes for the same row. The record that matches the files is then used.
    """
    found: dict[int, RowRecord] = {}
    rivals: dict[int, set[RowRecord]] = defaultdict(set)
    paths = sorted(_journals(folder, chunk), key=lambda path: path.stat().st_mtime_ns)
    records = (record for path in paths for record in _journalled(path))
    for record in (each for each in records if len(each.digests) == 1 + len(annotations)):
        former = found.setdefault(record.index, record)
        if former.digests != record.digests:
            rivals[record.index] |= {former, record}
        found[record.index] = record
    return found | _settled(folder, annotations, rivals)


def _journals(folder: SplitFolder, chunk: str = "*") -> Iterator[Path]:
    paths = folder.scratch.glob(_PATTERN.format(chunk=chunk, token="*"))
    return (path for path in paths if path.is_file())


def _journalled(path: Path) -> Iterator[RowRecord]:
    with open_plain(path) as file:
        yield from _records(file)


def _settled(
    folder: SplitFolder, annotations: Sequence[str], rivals: Mapping[int, set[RowRecord]]
) -> dict[int, RowRecord]:
    """For each row with several records, the one that matches the pictures on the disk."""
    settled = {}
    for index, records in rivals.items():
        pictures = folder.pictures(index, annotations)
        there = tuple(sha256(read_plain(p, MOST_PICTURE)) if p.is_file() else "" for p in pictures)
        for record in records:
            if record.digests == there:
                settled[index] = record
    return settled


class Tail:
    """Reader of the records added to the journals since its last call."""

    def __init__(self, folder: SplitFolder) -> None:
        self._folder = folder
        self._offsets = {path: path.stat().st_size for path in _journals(folder)}

    def read(self) -> list[RowRecord]:
        """The records added since the last call."""
        return [record for path in _journals(self._folder) for record in self._new(path)]

    def _new(self, path: Path) -> Iterator[RowRecord]:
        start = self._offsets.get(path, 0)
        if path.stat().st_size == start:
            return
        with open_plain(path) as file:
            file.seek(start)
            content = file.read(_AT_ONCE)
        whole = content if len(content) == _AT_ONCE else content[: content.rfind(b"\n") + 1]
        self._offsets[path] = start + len(whole)
        yield from _records(io.BytesIO(whole))


def _records(file: BinaryIO) -> Iterator[RowRecord]:
    """The valid records of a file; lines that are too long are skipped."""
    for line in whole_lines(file, _LONGEST):
        try:
            record = _RECORD.validate_json(line, strict=True)
        except ValidationError:
            continue
        if len(record.sizes) == len(record.digests) and _is_possible(record.channels):
            yield record


def _is_possible(channels: Channels) -> bool:
    """True if pixels can have these sums, since v <= v^2 <= 255 v for integers v in 0..255."""
    pairs = zip(channels.total, channels.square_total, strict=True)
    return all(total <= square <= 255 * total for total, square in pairs)
