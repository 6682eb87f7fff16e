"""The published data set: its archives, and an export to its layout.

    {train,test}/raw_latents.npy    N x 10, in [-1, 1]
    {train,test}/latents.npy        N x 10, physical
    {train,test}/images/NNNNNN.png  the row's index, with as many digits as the last row's

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann, Sharma, Schneider,
    Bethge, Brendel, 2021, https://doi.org/10.5281/zenodo.4502485
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from threedident.exchange.source import WholeSplit, open_sources, other_content, require_apart
from threedident.runtime.files import (
    atomic_write,
    locked,
    on_disk,
    open_plain,
    require_room,
    sweep,
)
from threedident.runtime.progress import progress
from threedident.storage.folder import SplitFolder

# bytes of an uncompressed image of 224 x 224 pixels, with the headers of a tar archive
_MOST_IMAGE = 3 * 224**2 + 4096

ADDRESS = "https://zenodo.org/records/4502485/files"


@dataclass(frozen=True)
class Archive:
    """A tar archive that holds one split.

    Arguments:
        name: file name, relative to the common address.
        md5: MD5 digest in hexadecimal.
        split: ``train`` or ``test``.
        most: upper bound of its size in bytes.
    """

    name: str
    md5: str
    split: str
    most: int


ARCHIVES = (
    Archive(
        "3dident_train.tar", "df132b4dacf04fa28e1c8ca9d2168634", "train", 250_000 * _MOST_IMAGE
    ),
    Archive("3dident_test.tar", "35020bca16c9faa80cf0c926d265d678", "test", 25_000 * _MOST_IMAGE),
)


def image_digits(n: int) -> int:
    """Number of digits in the names of ``n`` images: log10 of n, rounded up, and at least 1.

    Example:
        >>> image_digits(250_000), image_digits(25_000), image_digits(1)
        (6, 5, 1)
    """
    return len(str(n - 1))


def export_published(root: Path, out: Path) -> list[str]:
    """Write a data set in the layout of the published one.

    Arguments:
        root: folder of the data set, rendered or published.
        out: folder to write; files of an earlier run of this export are kept.

    Returns:
        A line about each split, and a line about parts that the layout cannot hold.

    Raises:
        ValueError: the data set is incomplete or not of the box space, ``out`` contains other
            files, or the disk has too little space. In these cases nothing is written.
    """
    require_apart(root, out)
    sources = open_sources(root)
    for source in sources:
        _require_box(source)
    with locked(out):
        layouts = [_Layout(source, SplitFolder(out, source.name)) for source in sources]
        missing = [layout.missing() for layout in layouts]
        needed = sum(map(_Layout.prepare, layouts, missing))
        require_room(out, needed, "for the copies", "free some space, or give another OUT")
        return [line for layout in layouts for line in layout.write()]


def _require_box(source: WholeSplit) -> None:
    columns = source.raw.shape[1]
    if columns != source.physical.shape[1]:
        raise ValueError(
            f"{source.folder.raw_latents}: expected ten raw latents per row for the published "
            f"layout, found {columns} as in the periodic space; give --layout webdataset"
        )


@dataclass
class _Layout:
    """The export of one split."""

    source: WholeSplit
    target: SplitFolder
    linked: bool = False

    def files(self) -> Iterator[tuple[Path, Path]]:
        """Every file and its target path; ``raw_latents.npy`` is the last."""
        digits, folder = image_digits(len(self.source)), self.source.folder
        for row in range(len(self.source)):
            yield self.source.image(row), self.target.image(row, digits)
        yield folder.latents, self.target.latents
        yield folder.raw_latents, self.target.raw_latents

    def missing(self) -> list[Path]:
        """The files that are not exported yet.

        Raises:
            ValueError: the target contains other files.
        """
        self._require_no_others()
        return [origin for origin, place in self.files() if not _is_placed(origin, place)]

    def prepare(self, missing: Sequence[Path]) -> int:
        """Make the folders, and return the number of bytes that the missing files will need."""
        self.target.images.mkdir(parents=True, exist_ok=True)
        sweep(self.target.path, self.target.images)
        self.linked = all(_can_link(origin, self.target.images) for origin in missing[:1])
        return 0 if self.linked else sum(on_disk(path.stat().st_size) for path in missing)

    def write(self) -> list[str]:
        """Write the missing files, and return lines that describe the result."""
        put = _link if self.linked else _copy
        count = len(self.source) + 2
        with progress(f"export {self.source.name}", count, "files") as advance:
            for origin, place in self.files():
                if not place.exists():
                    put(origin, place)
                advance()
        return [self._summary(), *self._left_out()]

    def _summary(self) -> str:
        shared = self.target.raw_latents.samefile(self.source.folder.raw_latents)
        how = "hard links, which take no space" if shared else "copies"
        return f"{self.target.path}: {len(self.source)} images, {how}"

    def _left_out(self) -> list[str]:
        folder = self.source.folder
        positives = ["positives"] if folder.positives.path.is_dir() else []
        names = [*self.source.annotations, *positives]
        if not names:
            return []
        return [
            f"{folder.path}: {' and '.join(names)} left out, because the published layout cannot "
            "hold them; --layout webdataset can"
        ]

    def _require_no_others(self) -> None:
        """Check that the target contains no files of another data set."""
        width, n = image_digits(len(self.source)), len(self.source)
        numbered = self.target.numbered()
        strange = [p for stem, p in numbered.items() if len(stem) != width or int(stem) >= n]
        ours = (self.target.manifest, self.target.sums, self.target.scratch)
        for path in [*strange, *(path for path in ours if path.exists())]:
            raise other_content(path)


def _is_placed(origin: Path, place: Path) -> bool:
    """True if ``place`` exists with the content of ``origin``, False if it does not exist.

    Raises:
        ValueError: ``place`` has another content.
    """
    if not place.exists():
        return False
    if not (place.samefile(origin) or filecmp.cmp(origin, place, shallow=False)):
        raise other_content(place)
    return True


def _can_link(origin: Path, folder: Path) -> bool:
    trial = folder / f".{origin.name}.{os.urandom(6).hex()}.tmp"
    try:
        _link(origin, trial)
    except OSError:
        return False
    trial.unlink()
    return True


def _link(origin: Path, place: Path) -> None:
    os.link(os.path.realpath(origin), place)  # link(2) does not follow symbolic links


def _copy(origin: Path, place: Path) -> None:
    with open_plain(origin) as source, atomic_write(place) as file:
        shutil.copyfileobj(source, file)
