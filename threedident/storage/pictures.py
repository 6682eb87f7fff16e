"""Pictures from bytes, whoever wrote them: PNG files of at most :data:`MOST_PIXELS` a side.

A picture is as large as its header claims, and a decoder makes room for all of it. So the claim is
looked at first.
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
        ValueError: there is none, a damaged one, or one too large; the message says what is found.
    """
    with _opened(content) as picture:
        picture.load()
        return picture


def check_chunks(content: bytes) -> None:
    """Compare every chunk of a picture with its checksum; nothing is decoded.

    Raises:
        ValueError: as :func:`decode_picture`.
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
    except Exception:  # the decoder raises a dozen kinds on damaged files
        raise ValueError("a damaged file") from None
