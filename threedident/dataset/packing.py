"""Writing of packs: every image is read once, checked, made smaller if asked, and appended.

An unfinished pack lies in ``packed/.work/`` with a note of its number of rows and its digest. A
stopped run continues from there. If the unfinished pack was altered since, it is written again
from the start, so the digest of a pack is always that of the original images.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from typing import Annotated, Any, BinaryIO

import numpy as np
from pydantic import Field

from threedident.dataset.images import ImageFiles, require_shrinking, shrink
from threedident.dataset.pack import PackFiles, PackRecord, Pixels, find_pack, images_identity
from threedident.runtime.errors import found_folder
from threedident.runtime.files import MOST_JSON, locked, read_plain, sha256, write_bytes
from threedident.runtime.machine import processors
from threedident.runtime.records import Frozen, parse_model
from threedident.storage.folder import MOST_ROWS, SplitFolder, picture_name
from threedident.storage.manifest import open_latents, open_manifest
from threedident.storage.statistics import Channels
from threedident.storage.verify import trusted_digests

_BLOCK_BYTES = 2**25


class _Note(Frozen):
    """State of an unfinished pack.

    Arguments:
        images: identity of the images, see :func:`threedident.dataset.pack.images_identity`.
        rows: number of rows written.
        pixels: SHA-256 of the header and these rows, computed in memory before writing.
    """

    images: str
    rows: Annotated[int, Field(gt=0, le=MOST_ROWS)]
    pixels: str


class Packing:
    """The work of packing one split at one resolution.

    Arguments:
        folder: the split.
        resolution: edge of the packed images in pixels; None for the size of the images.

    Raises:
        ValueError: the split is incomplete, or the resolution exceeds that of the images.
    """

    def __init__(self, folder: SplitFolder, resolution: int | None = None) -> None:
        self.folder, self._manifest = folder, open_manifest(folder)
        self.n = len(open_latents(folder, self._manifest))
        self._sources = ImageFiles(folder, self._manifest, self.n)
        if self._manifest is not None:
            self._sources.require_all()
        self._edge = self._sources.edge if resolution is None else resolution
        require_shrinking(self._edge, self._sources.edge, folder.path)
        self.files = PackFiles(folder, self._edge)
        for path in (self.files.pixels, self.files.record):
            if path.is_dir():
                raise ValueError(found_folder(path))
        self._images = images_identity(folder, self._manifest)
        self._work = folder.packed / ".work"
        self._pixels = self._work / self.files.pixels.name
        self._note = self._work / self.files.record.name
        self._header = _header((self.n, self._edge, self._edge, 3))
        self._row_bytes = 3 * self._edge**2

    @cached_property
    def done(self) -> bool:
        """True if the pack exists, is intact, and was made from these images."""
        with suppress(ValueError):
            pack = find_pack(self.folder, self._manifest, self._edge)
            return pack is not None and pack.is_intact()
        return False

    def missing_bytes(self) -> int:
        """Number of bytes still to be written."""
        if self.done:
            return 0
        note = self._noted()
        return self._bytes() - len(self._header) - (note.rows if note else 0) * self._row_bytes

    def run(
        self, advance: Callable[[int], None], skip: Callable[[int], None] | None = None
    ) -> None:
        """Write the pack, from where an earlier run stopped.

        Arguments:
            advance: called with the number of newly packed images.
            skip: called with the number of images that were packed before; by default,
                ``advance``.

        Raises:
            ValueError: an image is missing, damaged, or was altered after rendering.
        """
        skip = skip or advance
        if self.done:
            skip(self.n)
            return
        with locked(self._work):
            self._write(advance, skip)
        with suppress(OSError):  # another resolution may have unfinished files there
            self._work.rmdir()

    def _write(self, advance: Callable[[int], None], skip: Callable[[int], None]) -> None:
        note, digests = self._noted(), self._digests()
        with self._pixels.open("r+b" if note else "w+b") as file:
            tally = _Tally(file, self._header)
            kept = 0 if note is None else note.rows
            tally.keep(kept, self._row_bytes)
            if note is not None and tally.digest.hexdigest() != note.pixels:
                kept, tally = 0, _Tally(file, self._header)
            skip(kept)
            with ThreadPoolExecutor(processors()) as pool:
                for rows in self._blocks(kept):
                    tally.add(np.stack(list(pool.map(lambda row: self._read(row, digests), rows))))
                    os.fsync(file.fileno())
                    written = tally.digest.hexdigest()
                    note = _Note(images=self._images, rows=rows.stop, pixels=written)
                    write_bytes(self._note, note.model_dump_json().encode())
                    advance(len(rows))
        self._publish(tally)

    def _blocks(self, first: int) -> Iterator[range]:
        size = max(1, _BLOCK_BYTES // self._row_bytes)
        for start in range(first, self.n, size):
            yield range(start, min(start + size, self.n))

    def _read(self, row: int, digests: dict[str, str] | None) -> Pixels:
        path, content = self._sources.path(row), self._sources.content(row)
        if digests is not None and sha256(content) != digests[picture_name(path)]:
            raise ValueError(
                f"{path}: expected the image that was rendered, found another; the same render "
                "command again repairs it"
            )
        return np.asarray(shrink(self._sources.decode(row, content), self._edge))

    def _digests(self) -> dict[str, str] | None:
        """Digests of the images by name; None for the published archive, which has none."""
        if self._manifest is None:
            return None
        digests = trusted_digests(self.folder, self._manifest)
        if digests is None:
            raise ValueError(
                f"{self.folder.path}: expected the images that its manifest records, found "
                "others; threedident verify --deep names them"
            )
        return digests

    def _noted(self) -> _Note | None:
        """The note of an earlier run, or None if it does not fit the files."""
        try:
            note = parse_model(_Note, read_plain(self._note, MOST_JSON))
            size = self._pixels.stat().st_size
        except (OSError, ValueError):
            return None
        whole = size >= len(self._header) + note.rows * self._row_bytes
        return note if whole and note.rows <= self.n and note.images == self._images else None

    def _bytes(self) -> int:
        return len(self._header) + self.n * self._row_bytes

    def _publish(self, tally: _Tally) -> None:
        """Move the finished pack to its place, over an older one, and write its record last."""
        record = PackRecord(
            resolution=self._edge,
            n=self.n,
            images=self._images,
            channels=tally.channels,
            pixels=tally.digest.hexdigest(),
        )
        self.files.record.unlink(missing_ok=True)
        self._pixels.replace(self.files.pixels)
        write_bytes(self.files.record, record.to_bytes())
        self._note.unlink(missing_ok=True)


class _Tally:
    """Writer of rows that also updates their digest and channel sums."""

    def __init__(self, file: BinaryIO, header: bytes) -> None:
        self._file = file
        self.digest = hashlib.sha256(header)
        self.channels = Channels()
        file.seek(0)
        file.write(header)

    def keep(self, rows: int, row_bytes: int) -> None:
        """Include rows that are already in the file, and remove everything after them."""
        for _ in range(rows):
            self._count(self._file.read(row_bytes))
        self._file.truncate()

    def add(self, pixels: Pixels) -> None:
        """Write rows, shape (B, R, R, 3)."""
        content = pixels.tobytes()
        self._count(content)
        self._file.write(content)
        self._file.flush()

    def _count(self, content: bytes) -> None:
        self.digest.update(content)
        self.channels += Channels.of(np.frombuffer(content, np.uint8).reshape(-1, 3))


def _header(shape: tuple[int, ...]) -> bytes:
    """The header of an npy file, which precedes the pixels."""
    description = {"descr": "|u1", "fortran_order": False, "shape": shape}
    buffer = io.BytesIO()
    write_header: Any = np.lib.format.write_array_header_1_0  # numpy 1 has no types for it
    write_header(buffer, description)
    return buffer.getvalue()
