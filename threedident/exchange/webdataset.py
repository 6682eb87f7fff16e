"""The WebDataset layout: tar files of samples, for tools that read them in order.

    OUT/train-000000.tar ...    for each row, where KEY is its number in six digits:
        KEY.png                 the image, byte for byte as it was rendered
        KEY.raw_latents.npy     its raw latents, shape (10,), or (11,) in the periodic space
        KEY.latents.npy         its physical latents, shape (10,)
        KEY.mask.png            optional, like KEY.depth.png: the annotations
        KEY.positive.png        optional: the positive, with the same files as the image,
                                KEY.positive_raw_latents.npy, KEY.positive_latents.npy ...
    OUT/train.json              the manifest, if there is one
    OUT/train.positives.json    the manifest of the positives, if there are any
    OUT/SHA256SUMS              digests of all files, written last

An export of the same data set always has the same bytes.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from threedident.exchange.source import (
    WholeSplit,
    open_source,
    open_sources,
    other_content,
    require_apart,
)
from threedident.runtime.files import (
    MOST_JSON,
    atomic_write,
    locked,
    npy_bytes,
    open_plain,
    read_plain,
    require_room,
    sha256,
    sweep,
    write_bytes,
)
from threedident.runtime.progress import progress
from threedident.storage.folder import DIGITS, MOST_PICTURE, MOST_SUMS, sums_bytes

SHARD_SIZE = 10_000  # about 300 MB of images of 224 px
_SUMS = "SHA256SUMS"
_SHARD_NAMES = "*-" + "[0-9]" * DIGITS + ".tar"


def export_shards(root: Path, out: Path, shard_size: int = SHARD_SIZE) -> list[str]:
    """Write a data set as shards, which are tar files of samples.

    Arguments:
        root: folder of the data set, rendered or published.
        out: folder of the shards; files of an earlier run of this export are checked and kept.
        shard_size: samples per shard; the last shard of a split may have fewer.

    Returns:
        A line about each split.

    Raises:
        ValueError: the data set is incomplete, ``out`` contains other files, or the disk has too
            little space. Files with other names or sizes are found before anything is written.
    """
    require_apart(root, out)
    layouts = [_Layout(source, _positives(root, source)) for source in open_sources(root)]
    shards = [shard for layout in layouts for shard in layout.shards(out, shard_size)]
    notes = {out / name: text for layout in layouts for name, text in layout.manifests()}
    with locked(out):
        sweep(out)
        _require_no_others(out, shards, notes)
        needed = sum(shard.size() for shard in shards if not shard.is_there())
        require_room(out, needed, "for the shards", "free some space, or give another OUT")
        digests = _write_all(shards, notes)
        write_bytes(out / _SUMS, sums_bytes(digests))
    return [layout.summary(out, shards) for layout in layouts]


def _positives(root: Path, source: WholeSplit) -> WholeSplit | None:
    if not source.folder.positives.path.is_dir():
        return None
    positives = open_source(root, f"{source.name}/positives")
    if len(positives) != len(source):
        raise ValueError(
            f"{positives.folder.path}: expected a positive for each of {len(source)} images, "
            f"found {len(positives)}; give the same render command again"
        )
    return positives


@dataclass(frozen=True)
class _Layout:
    """The samples of one split: its images, and their positives if there are any."""

    anchors: WholeSplit
    positives: WholeSplit | None

    def shards(self, out: Path, size: int) -> list[_Shard]:
        """All shards of the split, in order."""
        starts = range(0, len(self.anchors), size)
        rows = [range(start, min(start + size, len(self.anchors))) for start in starts]
        name = self.anchors.name
        return [_Shard(self, out / f"{name}-{k:0{DIGITS}d}.tar", r) for k, r in enumerate(rows)]

    def manifests(self) -> Iterator[tuple[str, bytes]]:
        """File names and contents of the manifests to write."""
        named = {"": self.anchors, ".positives": self.positives}
        for ending, source in named.items():
            if source is not None and source.manifest is not None:
                yield (
                    f"{self.anchors.name}{ending}.json",
                    read_plain(source.folder.manifest, MOST_JSON),
                )

    def members(self, row: int) -> Iterator[tuple[str, Path | bytes]]:
        """The files of one sample: each a name, and the path of a file to copy or the content."""
        key = f"{row:0{DIGITS}d}"
        for name, content in _fields(self.anchors, row):
            yield f"{key}.{name}", content
        if self.positives is not None:
            for name, content in _fields(self.positives, row):
                yield f"{key}.positive{'.' if name == 'png' else '_'}{name}", content

    def summary(self, out: Path, shards: list[_Shard]) -> str:
        """A line about the exported split."""
        count = sum(shard.layout is self for shard in shards)
        beside = " and their positives" if self.positives is not None else ""
        named = "1 shard" if count == 1 else f"{count} shards"
        return f"{out}: {len(self.anchors)} {self.anchors.name} images{beside} in {named}"


@dataclass(frozen=True)
class _Shard:
    """One tar file."""

    layout: _Layout
    path: Path
    rows: range

    def size(self) -> int:
        """Size of the tar file in bytes."""
        members = (content for row in self.rows for _, content in self.layout.members(row))
        blocks = sum(1 + -(-_length(content) // tarfile.BLOCKSIZE) for content in members)
        records = -(-(blocks + 2) * tarfile.BLOCKSIZE // tarfile.RECORDSIZE)
        return records * tarfile.RECORDSIZE

    def is_there(self) -> bool:
        """True if the file exists with the right size, False if it does not exist.

        Raises:
            ValueError: the file has another size.
        """
        if not self.path.exists():
            return False
        if self.path.stat().st_size != self.size():
            raise other_content(self.path)
        return True

    def put(self, advance: Callable[[], None]) -> str:
        """Write the file, or check every byte of an existing one, and return its digest."""
        return self._check(advance) if self.path.exists() else self._write(advance)

    def _write(self, advance: Callable[[], None]) -> str:
        digest = hashlib.sha256()
        with atomic_write(self.path) as file:
            for piece in self._pieces(advance):
                digest.update(piece)
                file.write(piece)
        return digest.hexdigest()

    def _check(self, advance: Callable[[], None]) -> str:
        digest = hashlib.sha256()
        with open_plain(self.path) as file:
            for piece in self._pieces(advance):
                digest.update(piece)
                if file.read(len(piece)) != piece:
                    raise other_content(self.path)
        return digest.hexdigest()

    def _pieces(self, advance: Callable[[], None]) -> Iterator[bytes]:
        """The file's content, member by member."""
        length = 2 * tarfile.BLOCKSIZE
        for row in self.rows:
            for name, content in self.layout.members(row):
                piece = _member(name, content)
                length += len(piece)
                yield piece
            advance()
        yield bytes(2 * tarfile.BLOCKSIZE + -length % tarfile.RECORDSIZE)


def _fields(source: WholeSplit, row: int) -> Iterator[tuple[str, Path | bytes]]:
    yield "png", source.image(row)
    for name in source.annotations:
        yield f"{name}.png", source.folder.annotation(name, row)
    yield "raw_latents.npy", npy_bytes(source.raw[row])
    yield "latents.npy", npy_bytes(source.physical[row])


def _length(content: Path | bytes) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def _member(name: str, content: Path | bytes) -> bytes:
    """A file as a member of a tar archive, without time and owner."""
    data = content if isinstance(content, bytes) else read_plain(content, MOST_PICTURE)
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def _require_no_others(out: Path, shards: Sequence[_Shard], notes: Mapping[Path, bytes]) -> None:
    """Check that ``out`` contains no files of another export."""
    expected = {shard.path for shard in shards} | set(notes)
    for path in sorted(out.glob(_SHARD_NAMES)):
        if path not in expected:
            raise other_content(path)
    for path, content in notes.items():
        if path.exists() and read_plain(path, MOST_JSON) != content:
            raise other_content(path)
    if not _summed(out / _SUMS) <= {path.name for path in expected}:
        raise other_content(out / _SUMS)


def _summed(path: Path) -> set[str]:
    """The names in a file of digests."""
    if not path.exists():
        return set()
    lines = read_plain(path, MOST_SUMS).decode(errors="replace").splitlines()
    return {line.partition("  ")[2] for line in lines}


def _write_all(shards: Sequence[_Shard], notes: Mapping[Path, bytes]) -> dict[str, str]:
    """Write or check every file, and return the digests by name."""
    digests = {}
    for path, content in notes.items():
        write_bytes(path, content)
        digests[path.name] = sha256(content)
    samples = sum(len(shard.rows) for shard in shards)
    with progress("export", samples, "images") as advance:
        for shard in shards:
            digests[shard.path.name] = shard.put(advance)
    return digests
