"""The image files of a split: square RGB pictures, read at full size or made smaller."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from threedident.runtime.files import read_plain
from threedident.storage.folder import MOST_PICTURE, SplitFolder, image_name
from threedident.storage.manifest import Manifest
from threedident.storage.pictures import decode_picture

_REPAIR = "threedident verify names every bad file, and the same render command again repairs them"


class ImageFiles:
    """The images of a split, one file for each row.

    Arguments:
        folder: the split.
        manifest: manifest of the split; None for the published archive.
        n: number of rows.

    Attributes:
        edge: height and width of the images in pixels.

    Raises:
        ValueError: there is no manifest, and files are missing, too many, or not square.
    """

    def __init__(self, folder: SplitFolder, manifest: Manifest | None, n: int) -> None:
        self._folder, self._manifest, self._n = folder, manifest, n
        self._digits = folder.digits()
        if manifest is not None:
            self.edge = manifest.rendering.resolution
        else:
            self.require_all()
            self.edge = self._first_edge()

    def path(self, row: int) -> Path:
        """The file of a row."""
        return self._folder.image(row, self._digits)

    def read(self, row: int) -> Image.Image:
        """The picture of a row.

        Raises:
            ValueError: the file is missing, damaged, or has another size.
        """
        return self.decode(row, self.content(row))

    def content(self, row: int) -> bytes:
        """The bytes of a row's file, for :meth:`decode`."""
        path = self.path(row)
        try:
            return read_plain(path, MOST_PICTURE)
        except OSError as error:
            what = "nothing" if isinstance(error, FileNotFoundError) else "an unreadable file"
            raise ValueError(f"{path}: expected an image, found {what}; {_REPAIR}") from None

    def decode(self, row: int, content: bytes) -> Image.Image:
        """The picture in the bytes of a row's file."""
        picture = self._decode(row, content)
        if picture.size != (self.edge, self.edge):
            raise ValueError(
                f"{self.path(row)}: expected an image of {self.edge} x {self.edge} pixels, found "
                f"{picture.size}; the same render command again repairs it"
            )
        return picture

    def _decode(self, row: int, content: bytes) -> Image.Image:
        try:
            return decode_picture(content).convert("RGB")
        except ValueError as error:
            raise ValueError(
                f"{self.path(row)}: expected an image, found {error}; {_REPAIR}"
            ) from None

    def _first_edge(self) -> int:
        width, height = self._decode(0, self.content(0)).size
        if width != height:
            raise ValueError(
                f"{self.path(0)}: expected a square image, found {width} x {height} pixels; crop "
                "the images first"
            )
        return width

    def require_all(self) -> None:
        """Check that every row has a file and, if there is no manifest, that no file is left over.

        Raises:
            ValueError: files are missing or too many. The message gives their number.
        """
        images = self._folder.images
        names = set()
        if images.is_dir():
            with os.scandir(images) as entries:
                names = {entry.name for entry in entries}
        missing = sorted({image_name(row, self._digits) for row in range(self._n)} - names)
        if missing:
            raise ValueError(
                f"{images}: expected {self._n} images, one for each row of latents, "
                f"found {len(missing)} missing, first {missing[0]}; "
                + ("unpack the archive" if self._manifest is None else "give the render command")
                + " again to repair them"
            )
        found = sum(name.endswith(".png") for name in names)
        if self._manifest is None and found > self._n:
            raise ValueError(
                f"{self._folder.raw_latents}: expected one row of latents for each of the {found} "
                f"images, found {self._n}; unpack the archive again"
            )


def shrink(picture: Image.Image, edge: int) -> Image.Image:
    """The picture at ``edge`` x ``edge`` pixels, equal to the result of torchvision's ``Resize``.

    The filter is Pillow's bilinear one, which averages over all source pixels (antialiasing).
    """
    if picture.size == (edge, edge):
        return picture
    return picture.resize((edge, edge), Image.Resampling.BILINEAR)


def require_shrinking(resolution: int, native: int, path: Path) -> None:
    """Check that a resolution is not larger than that of the images.

    Arguments:
        resolution: requested edge in pixels.
        native: edge of the images in pixels.
        path: folder of the split, for the message.

    Raises:
        ValueError: the resolution is less than 1 or more than ``native``.
    """
    if not 1 <= resolution <= native:
        raise ValueError(
            f"resolution: expected 1 to {native}, the pixels of the images in {path}, found "
            f"{resolution}; for more pixels, render again"
        )
