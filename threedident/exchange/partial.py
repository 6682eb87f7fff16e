"""A file that has come in in part, and what it is part of.

NAME.part         the first bytes of the file
NAME.part.json    where they came from, and what the server said of the whole
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import BinaryIO

from threedident.exchange.request import number
from threedident.runtime.files import MOST_JSON, read_plain, write_bytes
from threedident.runtime.records import Frozen

_PARTIAL_CONTENT = 206
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_TAG = re.compile(r"[ -~]{1,200}")  # what may be sent back
_OTHER_PART = -1  # of the start, where a server does not say which part it sends


class Reply(Frozen):
    """What a server says of the file that it sends.

    Arguments:
        start: the first byte that it sends.
        size: bytes of the whole file, where the server tells.
        etag: changes with the file.
        modified: when it was last changed, in the server's words.
    """

    start: int = 0
    size: int | None = None
    etag: str | None = None
    modified: str | None = None

    @classmethod
    def of(cls, status: int, headers: Message) -> Reply:
        """The reply of an HTTP status and headers."""
        start, size = 0, number(headers.get("Content-Length"))
        if status == _PARTIAL_CONTENT:
            match = _RANGE.fullmatch(headers.get("Content-Range") or "")
            start = int(match[1]) if match else _OTHER_PART
            size = number(match[2]) if match else None
            if size is not None and size < start:
                start, size = _OTHER_PART, None
        etag, modified = _tag(headers.get("ETag")), _tag(headers.get("Last-Modified"))
        return cls(start=start, size=size, etag=etag, modified=modified)

    @property
    def left(self) -> int | None:
        """How many bytes will come, where the server tells."""
        return None if self.size is None else self.size - self.start

    @property
    def validator(self) -> str | None:
        """What ``If-Range`` takes: it must name these very bytes, as a weak tag does not."""
        strong = self.etag if self.etag and not self.etag.startswith("W/") else None
        return strong or self.modified

    def agrees_with(self, other: Reply) -> bool:
        """Whether nothing tells the two files apart."""
        here = (self.size, self.etag, self.modified)
        there = (other.size, other.etag, other.modified)
        return all(a == b or None in (a, b) for a, b in zip(here, there, strict=True))


def _tag(text: str | None) -> str | None:
    return text if text is not None and _TAG.fullmatch(text) else None


class _Note(Frozen):
    url: str
    reply: Reply


class Part:
    """What is there of a file, and how to ask for the rest.

    Arguments:
        place: where the whole file will lie.
    """

    def __init__(self, place: Path) -> None:
        self.name = place.name  # for messages
        self.path = place.with_name(f"{place.name}.part")
        self._place = place
        self._note_path = place.with_name(f"{place.name}.part.json")
        self._note = self._read_note()
        size = self._note.reply.size if self._note is not None else 0
        if size is not None and self.length() > size:
            self.discard()

    def length(self) -> int:
        """How many bytes are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    def is_whole(self) -> bool:
        """Whether the bytes there are all that the server announced."""
        size = None if self._note is None else self._note.reply.size
        return self.path.exists() and self.length() == size

    def headers(self, url: str) -> dict[str, str]:
        """What asks for the rest, or, if the file was changed meanwhile, for all of it."""
        if self._note is None or not self.length():
            return {}
        validator = self._note.reply.validator if url == self._note.url else None
        condition = {"If-Range": validator} if validator is not None else {}
        return {"Range": f"bytes={self.length()}-", **condition}

    def goes_on_with(self, reply: Reply, url: str) -> bool:
        """Whether a reply holds the bytes that come next."""
        if self._note is None or reply.start != self.length():
            return False
        known = self._note.reply
        if url != self._note.url:  # each server has tags of its own
            known = Reply(size=known.size)
        return reply.agrees_with(known)

    def begin(self, reply: Reply, url: str) -> None:
        """Drop what is there for a file that comes in from its start."""
        self.discard()
        self._note = _Note(url=url, reply=reply)
        write_bytes(self._note_path, self._note.model_dump_json().encode())

    @contextmanager
    def appending(self) -> Iterator[BinaryIO]:
        """A file that takes the bytes that come next."""
        try:
            with self.path.open("ab") as file:
                yield file
        except OSError as error:
            error.filename = error.filename or str(self.path)  # a failed write does not know where
            raise

    def finish(self) -> None:
        """Give the file its name."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(self._place)
        self._note_path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Forget what is there."""
        self.path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)
        self._note = None

    def _read_note(self) -> _Note | None:
        try:
            return _Note.model_validate_json(read_plain(self._note_path, MOST_JSON))
        except (OSError, ValueError):
            return None
