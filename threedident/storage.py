"""Where a data set lies on disk, and how files get there whole.

    ROOT/{train,test}/raw_latents.npy    N x 10, float32, in [-1, 1]
    ROOT/{train,test}/latents.npy        N x 10, float32, physical
    ROOT/{train,test}/images/NNNNNN.png  RGB, the row's index
    ROOT/{train,test}/masks/NNNNNN.png   where annotated: what every pixel shows
    ROOT/{train,test}/depths/NNNNNN.png  where annotated: how far it is away
    ROOT/{train,test}/SHA256SUMS         digest of every picture, as sha256sum writes it
    ROOT/{train,test}/sizes.npy          its size in bytes, N x pictures a row, int64
    ROOT/{train,test}/dataset.json       the manifest, written last
    ROOT/{train,test}/packed/            where packed: all images in one file, see threedident.pack
    ROOT/{train,test}/positives/         the same again: row i is the positive of row i

The published archive has neither digests nor manifest and pads image names to other widths;
it is read all the same.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from threedident.disk import spell_bytes
from threedident.errors import explain
from threedident.quoting import printable

DIGITS = 6
MOST_ROWS = 10**DIGITS
_WIDTHS = (DIGITS, *(width for width in range(1, 13) if width != DIGITS))
_TEMPORARY = ".{name}.{token}.tmp"
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]+\.tmp")
_NUMBER = re.compile(r"[0-9]+")
MOST_JSON = 2**24  # bytes of a record, such as a manifest
MOST_PICTURE = 2**30
MOST_ARRAY = 2**30  # latents of as many rows as there may be take a tenth of it
MOST_SUMS = 2**29  # a line for each picture of as many rows as there may be
_SUM_LINE = re.compile(r"([0-9a-f]{64})  ([a-z]+/\d+\.png)")

ANNOTATIONS = {"mask": "masks", "depth": "depths"}  # by name: the folder of their pictures


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
        """The manifest; its presence says that the split was finished."""
        return self.path / "dataset.json"

    @property
    def scratch(self) -> Path:
        """What a run that has not finished keeps."""
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
        """Where the pictures of all rows lie."""
        return [self.images, *(self.path / ANNOTATIONS[name] for name in annotations)]

    def pictures(self, index: int, annotations: Sequence[str] = ()) -> list[Path]:
        """All that is rendered for row ``index``: its image, then its annotations."""
        return [self.image(index), *(self.annotation(name, index) for name in annotations)]

    def digits(self) -> int:
        """The width to which this folder pads its image names."""
        first = next((w for w in _WIDTHS if self.image(0, w).is_file()), None)
        if first is not None:
            return first
        return min((len(name) for name in self.numbered()), default=DIGITS)

    def numbered(self) -> dict[str, Path]:
        """The images that are there, by their number as it is written."""
        return {p.stem: p for p in self.images.glob("*.png") if _NUMBER.fullmatch(p.stem)}


def image_name(index: int, digits: int = DIGITS) -> str:
    """The file name of the image of row ``index``."""
    return f"{index:0{digits}d}.png"


def picture_name(path: Path) -> str:
    """A picture's path from its split's folder, as ``SHA256SUMS`` writes it."""
    return f"{path.parent.name}/{path.name}"


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears under ``path`` whole or not at all.

    Raises:
        OSError: it cannot be written; its ``filename`` is ``path``.
    """
    temporary = path.with_name(_TEMPORARY.format(name=path.name, token=os.urandom(6).hex()))
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename = str(path)  # the name that the user knows
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Put ``content`` under ``path``, whole or not at all."""
    with atomic_write(path) as file:
        file.write(content)


def sweep(*folders: Path) -> None:
    """Remove what killed writers left in ``folders``."""
    for folder in folders:
        for path in folder.glob(".*.tmp"):
            if is_leftover(path):
                path.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Whether a file's name is one that :func:`atomic_write` writes under."""
    return _LEFTOVER.fullmatch(path.name) is not None


def open_plain(path: Path, links: bool = True) -> io.BufferedReader:
    """A file that others may have put there, opened to be read.

    To open a pipe waits for whoever writes to it, and a device may have no end, so neither is
    opened.

    Arguments:
        path: of the file.
        links: whether it may be a link to a plain file.

    Raises:
        ValueError: something else than a plain file is there.
        OSError: nothing is there, a folder, or what may not be read.
    """
    return open(_plain_handle(path, os.O_RDONLY, links), "rb")


def open_appending(path: Path) -> TextIO:
    """A plain file of text that what is written is added to; made where it is missing.

    Raises:
        ValueError: something else than a plain file is there.
        OSError: a folder is there, or what may not be written.
    """
    handle = _plain_handle(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    return open(handle, "a", encoding="utf-8")  # noqa: PTH123


def _plain_handle(path: Path, flags: int, links: bool = True) -> int:
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        handle = os.open(path, flags if links else flags | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.ENODEV):  # links, sockets, pipes
            raise ValueError(f"{path}: expected a plain file, found {error.strerror}") from None
        raise
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        raise ValueError(f"{path}: expected a plain file, found another kind; replace it")
    return handle


def read_plain(path: Path, most: int, links: bool = True) -> bytes:
    """The content of a file that others may have put there.

    Arguments:
        path: of the file.
        most: bytes that it may have.
        links: as :func:`open_plain` takes it.

    Raises:
        ValueError: it is larger, or as :func:`open_plain` does.
        OSError: as :func:`open_plain` does.
    """
    with open_plain(path, links) as file:
        size = os.fstat(file.fileno()).st_size
        content = b"" if size > most else file.read(size + 1)
        if size < len(content) <= most:  # it grew, or the system does not know its size
            content += file.read(most + 1 - len(content))
        size = max(size, len(content))
        if size > most:
            raise ValueError(
                f"{path}: expected at most {spell_bytes(most)}, found {spell_bytes(size)}; make "
                "it smaller"
            )
        return content


def whole_lines(file: BinaryIO, longest: int) -> Iterator[bytes]:
    """The lines of a file; those of ``longest`` bytes and more are passed over unread."""
    within = False  # a line that is too long
    while line := file.readline(longest):
        begun, within = within, not line.endswith(b"\n") and len(line) == longest
        if not (begun or within):
            yield line


def npy_bytes(array: NDArray[np.generic]) -> bytes:
    """``array`` as the content of an npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def load_npy(path: Path, digest: str | None = None) -> NDArray[np.generic]:
    """The array in an npy file.

    Arguments:
        path: of the file.
        digest: SHA-256 of the file, where one was recorded.

    Raises:
        ValueError: the file is missing, truncated or no plain array, or not the recorded one.
    """
    try:
        content = read_plain(path, MOST_ARRAY)
    except FileNotFoundError:
        raise ValueError(f"{path}: expected an npy file, found nothing; check the path") from None
    except OSError as error:
        raise ValueError(explain(error)) from None
    if digest is not None and sha256(content) != digest:
        raise ValueError(
            f"{path}: expected the file that was written, whose SHA-256 begins with "
            f"{digest[:12]}, found it altered; restore it from a copy, or give the command that "
            "wrote it again"
        )
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # numpy's reader raises a dozen kinds on damaged files
        raise ValueError(
            f"{path}: expected a plain npy array as numpy.save writes it, found none "
            f"({printable(str(error)) or type(error).__name__}); save the array again"
        ) from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path}: expected one npy array, found an archive; save the array alone")
    return array


def sha256(content: bytes) -> str:
    """The digest that data sets record, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def read_sums(path: Path) -> dict[str, str]:
    """Digests by a picture's name; lines that are not digests are passed over."""
    if not path.is_file():
        return {}
    return parse_sums(read_plain(path, MOST_SUMS).decode(errors="replace"))


def parse_sums(text: str) -> dict[str, str]:
    """Digests by a picture's name, of the content of ``SHA256SUMS``."""
    matches = (_SUM_LINE.fullmatch(line) for line in text.splitlines())
    return {match[2]: match[1] for match in matches if match}


def sums_bytes(digests: Mapping[str, str]) -> bytes:
    """The content of ``SHA256SUMS``, in order of name."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()
