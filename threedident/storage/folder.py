"""The folders and files of a data set on disk.

    ROOT/{train,test}/raw_latents.npy    N x 10, float32, in [-1, 1]
    ROOT/{train,test}/latents.npy        N x 10, float32, physical
    ROOT/{train,test}/images/NNNNNN.png  RGB, the row's index
    ROOT/{train,test}/masks/NNNNNN.png   optional: the label of every pixel
    ROOT/{train,test}/depths/NNNNNN.png  optional: the distance of every pixel
    ROOT/{train,test}/SHA256SUMS         digest of every picture, in the format of sha256sum
    ROOT/{train,test}/sizes.npy          size of every picture in bytes, N x pictures a row, int64
    ROOT/{train,test}/dataset.json       the manifest, written last
    ROOT/{train,test}/packed/            optional: all images in one file
    ROOT/{train,test}/positives/         optional: the same files; row i is the positive of row i

The published archive has neither digests nor a manifest, and its image names have another number
of digits. It can be read nevertheless.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from threedident.runtime.files import read_plain

DIGITS = 6
MOST_ROWS = 10**DIGITS
_WIDTHS = (DIGITS, *(width for width in range(1, 13) if width != DIGITS))

_NUMBER = re.compile(r"[0-9]+")
MOST_PICTURE = 2**30
MOST_SUMS = 2**29  # bytes; enough for a line per picture of the largest data set
_SUM_LINE = re.compile(r"([0-9a-f]{64})  ([a-z]+/\d+\.png)")

ANNOTATIONS = {"mask": "masks", "depth": "depths"}  # folder of each annotation's pictures


@dataclass(frozen=True)
class SplitFolder:
    """The files of one split below a data set's root."""

    root: Path
    split: str

    @property
    def path(self) -> Path:
        """The split's own folder."""
        return self.root / self.split

    @property
    def raw_latents(self) -> Path:
        """Raw latents, N x 10."""
        return self.path / "raw_latents.npy"

    @property
    def latents(self) -> Path:
        """Physical latents, N x 10."""
        return self.path / "latents.npy"

    @property
    def images(self) -> Path:
        """Folder of images."""
        return self.path / "images"

    @property
    def sums(self) -> Path:
        """Digests of the pictures."""
        return self.path / "SHA256SUMS"

    @property
    def sizes(self) -> Path:
        """Sizes of the pictures in bytes."""
        return self.path / "sizes.npy"

    @property
    def manifest(self) -> Path:
        """The manifest. It exists only if the split is finished."""
        return self.path / "dataset.json"

    @property
    def scratch(self) -> Path:
        """Folder of the working files of an unfinished run."""
        return self.path / ".render"

    @property
    def packed(self) -> Path:
        """Folder of packs, one for each resolution."""
        return self.path / "packed"

    @property
    def positives(self) -> SplitFolder:
        """The positives rendered beside this split's images."""
        return SplitFolder(self.path, "positives")

    def image(self, index: int, digits: int = DIGITS) -> Path:
        """The image of row ``index``."""
        return self.images / image_name(index, digits)

    def annotation(self, name: str, index: int) -> Path:
        """The annotation ``mask`` or ``depth`` of row ``index``."""
        return self.path / ANNOTATIONS[name] / f"{index:0{DIGITS}d}.png"

    def picture_folders(self, annotations: Sequence[str] = ()) -> list[Path]:
        """Folders that hold the pictures of all rows."""
        return [self.images, *(self.path / ANNOTATIONS[name] for name in annotations)]

    def pictures(self, index: int, annotations: Sequence[str] = ()) -> list[Path]:
        """All pictures of row ``index``: its image, then its annotations."""
        return [self.image(index), *(self.annotation(name, index) for name in annotations)]

    def digits(self) -> int:
        """Number of digits in the names of this folder's images."""
        first = next((w for w in _WIDTHS if self.image(0, w).is_file()), None)
        if first is not None:
            return first
        return min((len(name) for name in self.numbered()), default=DIGITS)

    def numbered(self) -> dict[str, Path]:
        """The existing images, by the number in their names as text, such as ``000012``."""
        return {p.stem: p for p in self.images.glob("*.png") if _NUMBER.fullmatch(p.stem)}


def image_name(index: int, digits: int = DIGITS) -> str:
    """The file name of the image of row ``index``."""
    return f"{index:0{digits}d}.png"


def picture_name(path: Path) -> str:
    """Path of a picture relative to its split's folder, as used in ``SHA256SUMS``."""
    return f"{path.parent.name}/{path.name}"


def read_sums(path: Path) -> dict[str, str]:
    """Digests by picture name, from a file ``SHA256SUMS``. Malformed lines are skipped."""
    if not path.is_file():
        return {}
    return parse_sums(read_plain(path, MOST_SUMS).decode(errors="replace"))


def parse_sums(text: str) -> dict[str, str]:
    """Digests by picture name, from the content of ``SHA256SUMS``. Malformed lines are skipped."""
    matches = (_SUM_LINE.fullmatch(line) for line in text.splitlines())
    return {match[2]: match[1] for match in matches if match}


def sums_bytes(digests: Mapping[str, str]) -> bytes:
    """The content of ``SHA256SUMS``, sorted by name."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()
