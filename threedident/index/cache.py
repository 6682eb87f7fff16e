"""Built indexes on disk, so that each is built once.

    $XDG_CACHE_HOME/threedident/KIND-DIGEST.index    ~/.cache/threedident without that variable

A file is one line of JSON, the header, followed by the bytes of the index. Its name is a digest
of everything that the index depends on. So a file of that name is either that index or damaged.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from threedident.runtime.errors import explain, printable
from threedident.runtime.files import atomic_write, open_plain, sha256
from threedident.runtime.progress import say
from threedident.runtime.records import Frozen, parse_model

Setting = dict[str, float]

_DIGITS = 20
_LONGEST = 1 << 16  # bytes of a header


class Key(Frozen):
    """Everything that an index depends on.

    Arguments:
        kind: name of the way it is built; another way has another name.
        points: SHA-256 of the points' bytes.
        rows: how many points there are.
        columns: coordinates of a point.
        faiss: version of the library that builds the index.
    """

    format: Literal[1] = 1
    kind: str
    points: str
    rows: int
    columns: int
    faiss: str

    @classmethod
    def of(cls, points: NDArray[np.float32], kind: str, faiss: str) -> Key:
        """The key of an index over ``points``, shape (N, d)."""
        digest = hashlib.sha256(points.data).hexdigest()
        rows, columns = points.shape
        return cls(kind=kind, points=digest, rows=rows, columns=columns, faiss=faiss)

    def path(self) -> Path:
        """Path of the index on disk.

        Raises:
            RuntimeError: there is no home folder.
        """
        digest = sha256(self.model_dump_json().encode())
        return cache_folder() / f"{self.kind}-{digest[:_DIGITS]}.index"


def cache_folder() -> Path:
    """Folder of the cached indexes.

    Raises:
        RuntimeError: there is no home folder.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (home if home.is_absolute() else Path.home() / ".cache") / "threedident"


class Built(NamedTuple):
    """An index.

    Arguments:
        content: its bytes, as faiss writes them.
        setting: how far a search looks.
        recall: how much it finds then, in [0, 1], measured.
    """

    content: bytes | memoryview
    setting: Setting
    recall: float


class Header(Frozen):
    """The first line of a file.

    Arguments:
        source: key of the index.
        setting: see :class:`Built`.
        recall: see :class:`Built`.
        size: of the index, in bytes.
        sha256: digest of the line without this entry, and of the index.
    """

    source: Key
    setting: Setting
    recall: Annotated[float, Field(ge=0, le=1)]
    size: int
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""

    def seal(self, content: bytes | memoryview) -> str:
        """Digest of the header, without its digest, and of the index."""
        digest = hashlib.sha256(self.model_dump_json(exclude={"sha256"}).encode())
        digest.update(content)
        return digest.hexdigest()


def load(source: Key) -> Built | None:
    """The index on disk, or None if there is none.

    Raises:
        ValueError: the file is damaged, or holds another index.
    """
    try:
        path = source.path()
        opened = open_plain(path)
    except (OSError, RuntimeError):
        return None
    with opened as file:
        header = _header(path, file.readline(_LONGEST), source)
        size = path.stat().st_size - file.tell()
        if size != header.size:  # before it takes memory
            raise _refusal(path, f"{header.size} bytes of index", str(size))
        content = file.read(size)
    if header.seal(content) != header.sha256:
        raise _refusal(path, f"an index with SHA-256 {header.sha256}", "it altered")
    return Built(content, header.setting, header.recall)


def _header(path: Path, line: bytes, source: Key) -> Header:
    try:
        header = parse_model(Header, line)
    except ValueError:
        raise _refusal(path, "the header of an index", "none") from None
    for name, expected in source:
        if (found := getattr(header.source, name)) != expected:
            raise _refusal(path, f"{name} {expected}", printable(str(found)))
    return header


def store(source: Key, built: Built) -> None:
    """Write an index to disk; if that fails, print a note and continue."""
    header = Header(
        source=source, setting=built.setting, recall=built.recall, size=len(built.content)
    )
    sealed = header.model_copy(update={"sha256": header.seal(built.content)})
    try:
        path = source.path()
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(sealed.model_dump_json().encode() + b"\n")
            file.write(built.content)
    except OSError as error:
        say(f"index: {explain(error)}; this one stays in memory")
    except RuntimeError as error:
        say(f"index: {error}; this one stays in memory")


def _refusal(path: Path, expected: str, found: str) -> ValueError:
    advice = "delete it and it is built anew"
    return ValueError(f"{path}: expected {expected}, found {found}; {advice}")
