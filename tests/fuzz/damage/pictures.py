"""Damage to PNG files: chunks that lie, with checksums that hold."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.fuzz.damage.edits import Edit, damages

_MAGIC = b"\x89PNG\r\n\x1a\n"
_BOMB = zlib.compress(bytes(2**27), 9)  # 130 kB, and 128 MiB unpacked
Chunk = tuple[bytes, bytes]


def _chunks(content: bytes) -> list[Chunk]:
    found, at = [], len(_MAGIC)
    while at + 8 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def _joined(chunks: Sequence[Chunk]) -> bytes:
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return _MAGIC + b"".join(parts)


_EXTRAS: dict[str, Chunk] = {
    "text": (b"tEXt", b"Comment\0\x1b[2J"),
    "text without a name": (b"tEXt", b"x" * 5000),
    "packed text": (b"zTXt", b"Comment\0\0" + zlib.compress(b"text")),
    "text bomb": (b"zTXt", b"Comment\0\0" + _BOMB),
    "international text bomb": (b"iTXt", b"Comment\0\1\0\0\0" + _BOMB),
    "profile bomb": (b"iCCP", b"profile\0\0" + _BOMB),
    "profile of nonsense": (b"iCCP", b"profile\0\0nonsense"),
    "palette": (b"PLTE", bytes(range(30))),
    "long palette": (b"PLTE", bytes(3 * 300)),
    "no palette": (b"PLTE", b""),
    "transparency": (b"tRNS", b"\0\1\0\1\0\1"),
    "no transparency": (b"tRNS", b""),
    "gamma": (b"gAMA", b"\0\0\0\0"),
    "chromaticities": (b"cHRM", b"\0" * 5),
    "rendering": (b"sRGB", b"\xff"),
    "size of a pixel": (b"pHYs", b"\0" * 9),
    "camera": (b"eXIf", b"MM\0\x2a\xff\xff\xff\xff"),
    "film": (b"acTL", struct.pack(">II", 2**31 - 1, 0)),
    "film of none": (b"acTL", struct.pack(">II", 0, 0)),
    "short film": (b"acTL", b"\0"),
    "frame": (b"fcTL", struct.pack(">IIIIIHHBB", 0, 60000, 60000, 0, 0, 1, 1, 0, 0)),
    "short frame": (b"fcTL", b"\0\0"),
    "frame data": (b"fdAT", struct.pack(">I", 1) + b"nonsense"),
    "unknown": (b"QQQQ", b"x"),
    "unknown and not needed": (b"abCd", b"x" * 70_000),
    "no letters": (b"\0\xff<>", b""),
    "empty data": (b"IDAT", b""),
    "data of nonsense": (b"IDAT", b"nonsense"),
    "data bomb": (b"IDAT", _BOMB),
    "another header": (b"IHDR", struct.pack(">IIBBBBB", 3, 3, 8, 2, 0, 0, 0)),
    "short header": (b"IHDR", b"\0"),
    "the end": (b"IEND", b""),
}
_EDGES = (0, 1, 15, 16, 17, 32, 4096, 16384, 60000, 2**31 - 1, 2**31, 2**32 - 1)


@dataclass(frozen=True)
class Header:
    """Another claim of the header.

    Arguments:
        field: number of the field: width, height, bits, colours, packing, filter, interlacing.
        value: of it; sizes are picked by it.
        square: whether the other size is the same.
    """

    field: int
    value: int
    square: bool

    def __call__(self, content: bytes) -> bytes:
        chunks = _chunks(content)
        if not chunks or len(chunks[0][1]) != 13:
            return content
        fields = list(struct.unpack(">IIBBBBB", chunks[0][1]))
        if self.field < 2:
            fields[self.field] = _EDGES[self.value % len(_EDGES)]
            if self.square:
                fields[0] = fields[1] = fields[self.field]
        else:
            fields[self.field] = self.value % 18
        return _joined([(b"IHDR", struct.pack(">IIBBBBB", *fields)), *chunks[1:]])


@dataclass(frozen=True)
class Chunks:
    """An edit of whole chunks."""

    how: str
    at: int
    extra: str

    def __call__(self, content: bytes) -> bytes:
        chunks = _chunks(content)
        if not chunks:
            return content
        place = self.at % len(chunks)
        kind, data = chunks[place]
        match self.how:
            case "insert":
                chunks.insert(self.at % (len(chunks) + 1), _EXTRAS[self.extra])
            case "drop":
                del chunks[place]
            case "twice":
                chunks.insert(place, chunks[place])
            case "first":
                chunks.insert(0, chunks.pop(place))
            case "shorter":
                chunks[place] = (kind, data[: len(data) // 2])
            case "longer":
                chunks[place] = (kind, data + bytes(9))
            case "split":
                chunks[place : place + 1] = [(kind, data[i : i + 1]) for i in range(len(data))]
            case "other pixels":
                chunks = [(k, _other(d) if k == b"IDAT" else d) for k, d in chunks]
            case "other filters":
                chunks = [(k, _other(d, 0, 77) if k == b"IDAT" else d) for k, d in chunks]
            case _:
                chunks[place] = (_EXTRAS[self.extra][0], data)
        return _joined(chunks)


def _other(data: bytes, place: int = 5, value: int = 99) -> bytes:
    """Packed rows with another byte."""
    try:
        rows = bytearray(zlib.decompress(data))
    except zlib.error:
        return data
    if place < len(rows):
        rows[place] = value
    return zlib.compress(bytes(rows))


_HOWS = (
    *("insert", "insert", "insert", "drop", "twice", "first", "shorter", "longer", "split"),
    *("other pixels", "other pixels", "other filters", "rename"),
)
picture_edits: st.SearchStrategy[Edit] = st.one_of(
    st.builds(Header, st.integers(0, 6), st.integers(0, 40), st.booleans()),
    st.builds(
        Chunks,
        how=st.sampled_from(_HOWS),
        at=st.integers(0, 8),
        extra=st.sampled_from(list(_EXTRAS)),
    ),
)
picture_damage = damages(picture_edits, picture_edits)
