"""Damage to any file: to its bytes, or to what kind of file it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

Edit = Callable[[bytes], bytes]

_MOST_BYTES = 2**20  # of a damaged file, lest edits of edits grow without end
_ANYWHERE = st.one_of(st.integers(0, 200), st.integers(0, 2**24))
_PIECES = (
    *(b"", b"\0", b"\xff" * 8, b"\x80", b"\n", b"\r\n", b'"', b"{", b"[" * 50, b"-", b"1e999"),
    *(b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\x1b[2J", b"<script>", b"%s%n", b"../../", bytes(500)),
)


@dataclass(frozen=True)
class Bytes:
    """An edit of bytes.

    Arguments:
        how: what is done.
        at: where; beyond the end, it is counted from the start again.
        size: of the part that is concerned.
        piece: what is put in.
    """

    how: str
    at: int
    size: int
    piece: bytes

    def __call__(self, content: bytes) -> bytes:
        at = self.at % (len(content) + 1)
        end = min(at + self.size, len(content))
        head, part, tail = content[:at], content[at:end], content[end:]
        match self.how:
            case "flip":
                return (
                    head
                    + bytes(byte ^ (1 << self.size % 8) for byte in part[:1])
                    + content[at + 1 :]
                )
            case "cut":
                return head
            case "behead":
                return content[at:]
            case "drop":
                return head + tail
            case "insert":
                return head + self.piece + part + tail
            case "overwrite":
                return head + self.piece + content[at + len(self.piece) :]
            case "repeat":
                return head + part * 3 + tail
            case "swap":
                middle = len(tail) // 2
                return head + tail[middle:] + tail[:middle] + part
            case "double":
                return content + content
            case _:
                return content + self.piece


_HOWS = (
    *("flip", "flip", "cut", "behead", "drop", "insert", "overwrite", "repeat", "swap", "double"),
    "append",
)
byte_edits: st.SearchStrategy[Edit] = st.builds(
    Bytes,
    how=st.sampled_from(_HOWS),
    at=_ANYWHERE,
    size=st.sampled_from((1, 2, 3, 4, 7, 8, 16, 100, 1000)),
    piece=st.sampled_from(_PIECES),
)


@dataclass(frozen=True)
class Encoded:
    """A text in another encoding, or with other ends of lines."""

    how: str

    def __call__(self, content: bytes) -> bytes:
        text = content.decode("utf-8", "replace")
        match self.how:
            case "crlf":
                return content.replace(b"\n", b"\r\n")
            case "cr":
                return content.replace(b"\n", b"\r")
            case "one line":
                return content.replace(b"\n", b" ")
            case "blank lines":
                return content.replace(b"\n", b"\n\n\n")
            case "line separators":
                return content.replace(b"\n", "\u2028".encode())
            case "upper case":
                return text.upper().encode()
            case "latin":
                return b"\xe4\xf6\xfc" + content
            case _:
                return text.encode(self.how, "surrogatepass")


encodings: st.SearchStrategy[Edit] = st.builds(
    Encoded,
    st.sampled_from(
        (
            *("crlf", "cr", "one line", "blank lines", "line separators", "upper case", "latin"),
            *("utf-16", "utf-32", "utf-8-sig", "utf-7"),
        )
    ),
)


@dataclass(frozen=True)
class Lines:
    """An edit of whole lines."""

    how: str
    at: int
    other: int

    def __call__(self, content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        if not lines:
            return content
        at, other = self.at % len(lines), self.other % len(lines)
        match self.how:
            case "drop":
                del lines[at]
            case "twice":
                lines.insert(other, lines[at])
            case "swap":
                lines[at], lines[other] = lines[other], lines[at]
            case "join":
                lines[at] = lines[at].rstrip(b"\n")
            case "long":
                lines[at] = lines[at].rstrip(b"\n") * 1000 + b"\n"
            case "many":
                lines = lines * 30
        return b"".join(lines)


line_edits: st.SearchStrategy[Edit] = st.builds(
    Lines,
    how=st.sampled_from(("drop", "twice", "swap", "join", "long", "many")),
    at=st.integers(0, 100),
    other=st.integers(0, 100),
)


@dataclass(frozen=True)
class Kind:
    """Another kind of file in the place of one."""

    what: str

    def put(self, path: Path, content: bytes) -> None:
        """Put it under ``path``, where nothing is."""
        match self.what:
            case "nothing":
                pass
            case "folder":
                path.mkdir()
            case "pipe":
                os.mkfifo(path)
            case "link to itself":
                path.symlink_to(path)
            case "link to nothing":
                path.symlink_to(path.with_name("nothing"))
            case "device":
                path.symlink_to("/dev/zero")
            case "empty":
                path.write_bytes(b"")
            case "huge":
                path.write_bytes(content)
                os.truncate(path, 2**30 + 2**27)


KINDS = (
    *("nothing", "folder", "pipe", "link to itself", "link to nothing", "device", "empty"),
    "huge",
)


@dataclass(frozen=True)
class Damage:
    """What befalls one file: edits of its content, or another kind of file in its place."""

    edits: tuple[Edit, ...] = ()
    kind: Kind | None = None

    def apply(self, path: Path, content: bytes) -> bool:
        """Put the damaged file under ``path``; whether its content is another now."""
        if self.kind is not None:
            path.unlink()
            self.kind.put(path, content)
            return True
        damaged = content
        for edit in self.edits:
            damaged = edit(damaged)[:_MOST_BYTES]
        path.write_bytes(damaged)
        return damaged != content

    @staticmethod
    def undo(path: Path, content: bytes) -> None:
        """Put the sound file back."""
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path)
        path.write_bytes(content)


def edited(*edits: st.SearchStrategy[Edit]) -> st.SearchStrategy[Damage]:
    """Damage by up to three edits of these kinds or of bytes."""
    listed = st.lists(st.one_of(*edits, byte_edits), min_size=1, max_size=3)
    return st.builds(Damage, edits=listed.map(tuple))


def damages(*edits: st.SearchStrategy[Edit], huge: bool = True) -> st.SearchStrategy[Damage]:
    """The same, or now and then another kind of file.

    Arguments:
        edits: that fit the file.
        huge: whether one of more than 1 GiB is among the kinds; files that may be as large as
            they like take their time.
    """
    kinds = [Damage(kind=Kind(what)) for what in KINDS if huge or what != "huge"]
    return st.one_of(*[edited(*edits)] * 12, st.sampled_from(kinds))


any_damage = damages()
text_damage = damages(encodings, line_edits)
