"""Decoding of untrusted PNG files of at most :data:`MOST_PIXELS` pixels a side.

A decoder allocates memory for the size that the header claims. This module therefore checks the
claimed size first.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from threedident.storage.manifest import MOST_PIXELS

PNG_HEAD = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"
EDGES = struct.Struct(">II")  # width and height follow the head


def decode_picture(content: bytes) -> Image.Image:
    """The picture in a file's bytes, decoded.

    Raises:
        ValueError: the bytes are no PNG file, a damaged one, or one that is too large. The message
            says what was found.
    """
    with _opened(content) as picture:
        picture.load()
        return picture


def check_chunks(content: bytes) -> None:
    """Compare every chunk of a picture with its checksum, without decoding it.

    Raises:
        ValueError: see :func:`decode_picture`.
    """
    with _opened(content) as picture:
        picture.verify()


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    claim = content[len(PNG_HEAD) : len(PNG_HEAD) + EDGES.size]
    if not content.startswith(PNG_HEAD) or len(claim) < EDGES.size:
        raise ValueError("a file that is no PNG" if content else "an empty file")
    width, height = EDGES.unpack(claim)
    if max(width, height) > MOST_PIXELS:
        raise ValueError(
            f"a header that claims {width} x {height} pixels, more than {MOST_PIXELS} a side"
        )
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            yield picture
    except Exception:  # Pillow raises many kinds of errors on damaged files
        raise ValueError("a damaged file") from None
