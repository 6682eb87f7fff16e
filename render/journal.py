"""What workers have finished: one JSON line per row, written after the row's pictures.

A row without a line is not finished. The line of a writer that was killed in the middle does
not parse and is passed over.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, TextIO

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter, ValidationError

from threedident.channels import Channels
from threedident.storage import SplitFolder, sha256

_PATTERN = "journal-{chunk}-{token}.jsonl"


@dataclass(frozen=True, slots=True)
class Record:
    """A finished row.

    Arguments:
        index: the row.
        digests: SHA-256 of each of its pictures, the image first, then the annotations.
        sizes: their sizes in bytes.
        channels: sums over the image's pixels.
    """

    index: Annotated[int, Field(ge=0)]
    digests: tuple[str, ...]
    sizes: tuple[int, ...]
    channels: Channels


_RECORD = TypeAdapter(Record)


def record_of(index: int, image: NDArray[np.uint8], contents: Sequence[bytes]) -> Record:
    """The record of an image of shape (H, W, 3) and the content of all files of its row."""
    return Record(
        index,
        tuple(sha256(content) for content in contents),
        tuple(len(content) for content in contents),
        Channels.of(image),
    )


@contextmanager
def open_journal(folder: SplitFolder, chunk: str) -> Iterator[TextIO]:
    """A journal of this process's own on the chunk of that name."""
    name = _PATTERN.format(chunk=chunk, token=os.urandom(6).hex())
    with (folder.scratch / name).open("w", encoding="utf-8") as file:
        yield file


def append(file: TextIO, record: Record) -> None:
    """Write a record through to the disk."""
    file.write(json.dumps(asdict(record)) + "\n")
    file.flush()
    os.fsync(file.fileno())


def read_journals(
    folder: SplitFolder, annotations: Sequence[str], chunk: str = "*"
) -> dict[int, Record]:
    """All records of rows with these annotations by index, or those of one chunk's journals.

    Where two workers finished one row with different bytes, as they can on machines of
    different make, the record that fits the files counts.
    """
    found: dict[int, Record] = {}
    rivals: dict[int, set[Record]] = defaultdict(set)
    paths = sorted(_journals(folder, chunk), key=lambda path: path.stat().st_mtime_ns)
    records = (record for path in paths for record in _records(path.read_bytes()))
    for record in (each for each in records if len(each.digests) == 1 + len(annotations)):
        former = found.setdefault(record.index, record)
        if former.digests != record.digests:
            rivals[record.index] |= {former, record}
        found[record.index] = record
    return found | _settled(folder, annotations, rivals)


def _journals(folder: SplitFolder, chunk: str = "*") -> Iterator[Path]:
    return folder.scratch.glob(_PATTERN.format(chunk=chunk, token="*"))


def _settled(
    folder: SplitFolder, annotations: Sequence[str], rivals: Mapping[int, set[Record]]
) -> dict[int, Record]:
    """For each disputed row, the record whose pictures are those that lie there."""
    settled = {}
    for index, records in rivals.items():
        pictures = folder.pictures(index, annotations)
        there = tuple(sha256(p.read_bytes()) if p.is_file() else "" for p in pictures)
        for record in records:
            if record.digests == there:
                settled[index] = record
    return settled


class Tail:
    """Reads what was added to the journals since it last looked."""

    def __init__(self, folder: SplitFolder) -> None:
        self._folder = folder
        self._offsets = {path: path.stat().st_size for path in _journals(folder)}

    def read(self) -> list[Record]:
        """The new records."""
        return [record for path in _journals(self._folder) for record in self._new(path)]

    def _new(self, path: Path) -> Iterator[Record]:
        start = self._offsets.get(path, 0)
        if path.stat().st_size == start:
            return
        with path.open("rb") as file:
            file.seek(start)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._offsets[path] = start + len(whole)
        yield from _records(whole)


def _records(content: bytes) -> Iterator[Record]:
    for line in content.splitlines():
        try:
            yield _RECORD.validate_json(line)
        except ValidationError:
            continue
