"""Packs: all images of a split in one file, for fast reading.

    ROOT/{train,test}/packed/R.npy    N x R x R x 3, uint8, readable by numpy.load(mmap_mode="r")
    ROOT/{train,test}/packed/R.json   the record, written last: what the pack was made from

A pack is valid only for the images from which it was made. A reader refuses it for others.
"""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from threedident.runtime.files import open_plain, sha256
from threedident.runtime.records import Frozen, read_model
from threedident.storage.folder import MOST_ROWS, SplitFolder
from threedident.storage.manifest import MOST_PIXELS, Manifest
from threedident.storage.statistics import Channels

Pixels = NDArray[np.uint8]


class PackRecord(Frozen):
    """Description of a pack and of the images from which it was made.

    Arguments:
        resolution: edge of the packed images in pixels.
        n: number of images.
        images: identity of the image files, see :func:`images_identity`.
        channels: sums over all packed pixels.
        pixels: SHA-256 of the npy file.
        seal: digest of all other entries; None in records of earlier versions.
    """

    schema_version: Literal[1] = 1
    resolution: Annotated[int, Field(gt=0, le=MOST_PIXELS)]
    n: Annotated[int, Field(gt=0, le=MOST_ROWS)]
    images: str
    channels: Channels
    pixels: str
    seal: str | None = None

    def digest(self) -> str:
        """SHA-256 of all entries except the seal."""
        return sha256(self.model_dump_json(exclude={"seal"}).encode())

    def to_bytes(self) -> bytes:
        """Content of the file, with the seal."""
        sealed = self.model_copy(update={"seal": self.digest()})
        return (sealed.model_dump_json(indent=2) + "\n").encode()


@dataclass(frozen=True)
class PackFiles:
    """Paths of the pack of one resolution."""

    folder: SplitFolder
    resolution: int

    @property
    def pixels(self) -> Path:
        """The file of images, N x R x R x 3."""
        return self.folder.packed / f"{self.resolution}.npy"

    @property
    def record(self) -> Path:
        """The file of the record. It exists only if the pack is finished."""
        return self.pixels.with_suffix(".json")


class Pack:
    """The packed images of a split. Each process opens the file when it reads its first image.

    Images are read by position and not through mapped memory. With mapped memory, all pages ever
    read would count as memory of the process, and truncating the file would kill the process.
    """

    def __init__(self, path: Path, record: PackRecord) -> None:
        self.path, self.record = path, record
        self._handle: int | None = None
        self._start = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "record": self.record, "_handle": None, "_start": 0}

    def mapped(self) -> Pixels:
        """All images as mapped memory, shape (N, R, R, 3), read-only.

        Raises:
            ValueError: the file is missing, cut short, or of another shape.
        """
        edge = self.record.resolution
        try:
            open_plain(self.path).close()
            open_memmap: Any = np.lib.format.open_memmap  # numpy 1 has no types for it
            pixels = open_memmap(self.path, mode="r")
        except Exception as error:  # numpy raises many kinds of errors on damaged files
            raise self._bad(type(error).__name__) from None
        if pixels.dtype != np.uint8 or pixels.shape != (self.record.n, edge, edge, 3):
            raise self._bad(f"{pixels.dtype} of shape {pixels.shape}")
        assert isinstance(pixels, np.memmap)
        if self.path.stat().st_size != pixels.offset + pixels.nbytes:
            raise self._bad("bytes after them")
        return pixels

    def is_intact(self) -> bool:
        """True if no byte of the file has changed. This reads the whole file."""
        with open_plain(self.path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.record.pixels

    def read(self, rows: NDArray[np.int64], out: Pixels) -> None:
        """Copy the images of ``rows``, shape (B,), to ``out``, shape (B, R, R, 3), contiguous.

        Raises:
            ValueError: the file is missing or cut short.
        """
        handle, target = self._open(), out.reshape(-1).data
        size = 3 * self.record.resolution**2
        for place, row in enumerate(rows.tolist()):
            part = target[place * size : (place + 1) * size]
            if os.preadv(handle, [part], self._start + row * size) != size:
                raise self._bad("a file cut short")

    def _open(self) -> int:
        if self._handle is None:
            pixels = self.mapped()
            assert isinstance(pixels, np.memmap)
            self._start = pixels.offset
            self._handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            weakref.finalize(self, os.close, self._handle)
        return self._handle

    def _bad(self, found: str) -> ValueError:
        record = self.record
        return ValueError(
            f"{self.path}: expected {record.n} packed images of {record.resolution} x "
            f"{record.resolution} pixels, found {found}; threedident pack writes them again"
        )


def pack_states(
    folder: SplitFolder, manifest: Manifest | None, deep: bool
) -> Iterator[tuple[Path, str | None]]:
    """Every pack of a split with its fault, which is None for a good pack.

    Arguments:
        folder: the split.
        manifest: manifest of the split; None for the published archive.
        deep: True to digest every pack.
    """
    for path in sorted(folder.packed.glob("*.json")):
        if not path.stem.isdecimal():
            continue
        files = PackFiles(folder, int(path.stem))
        yield files.pixels, _state(files, manifest, deep)


def _state(files: PackFiles, manifest: Manifest | None, deep: bool) -> str | None:
    try:
        pack = find_pack(files.folder, manifest, files.resolution)
    except ValueError:
        return "damaged, or made from other images"
    return None if pack is None or not deep or pack.is_intact() else "altered"


def find_pack(folder: SplitFolder, manifest: Manifest | None, resolution: int) -> Pack | None:
    """The pack of a split's images at one resolution, or None if there is none.

    Raises:
        ValueError: the pack is damaged or was made from other images.
    """
    files = PackFiles(folder, resolution)
    record = read_record(files)
    if record is None:
        return None
    if record.images != images_identity(folder, manifest):
        raise ValueError(
            f"{files.pixels}: expected a pack of the images in {folder.path}, found one that is "
            "older than they are or was made from others; give threedident pack again, or delete "
            f"{files.record}"
        )
    pack = Pack(files.pixels, record)
    pack.mapped()
    return pack


def read_record(files: PackFiles) -> PackRecord | None:
    """The record of a pack, or None if there is none.

    Raises:
        ValueError: the file exists but is not a valid record of this resolution.
    """
    advice = "give threedident pack again"
    record = read_model(PackRecord, files.record, "the record of a pack", advice)
    if record is None:
        return None
    if record.seal not in (None, record.digest()):
        raise ValueError(
            f"{files.record}: expected the record that was written, found it altered; give "
            "threedident pack again"
        )
    if record.resolution != files.resolution:
        raise ValueError(
            f"{files.record}: expected the record of a pack of {files.resolution} pixels, found "
            f"one of {record.resolution}; give threedident pack again"
        )
    return record


def images_identity(folder: SplitFolder, manifest: Manifest | None) -> str:
    """Identity of a split's images, different for different images.

    It is derived from the images' digests. The published archive has none, so the name, size and
    modification time of every file are used instead, which reveal later changes.
    """
    if manifest is not None:
        return manifest.digests.sums
    with os.scandir(folder.images) as entries:
        states = sorted((entry.name, entry.stat()) for entry in entries)
    lines = (f"{name} {state.st_size} {state.st_mtime_ns}\n" for name, state in states)
    return sha256("".join(lines).encode())
