"""Built indexes on disk, so that each is built once.

    $XDG_CACHE_HOME/threedident/KIND-DIGEST.index    ~/.cache/threedident without that variable

A file is one line of JSON, the header, and then the bytes of the index.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from threedident.errors import explain
from threedident.progress import say
from threedident.storage import sha256, write_bytes

_DIGITS = 20


class Header(BaseModel):
    """What a cached index is of.

    Arguments:
        faiss: version of the library that wrote it.
        kind: how it searches.
        points: SHA-256 of the points, in the order given.
        effort: how far a search looks.
        recall: measured when it was built.
        content: SHA-256 of the index's bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    faiss: str
    kind: str
    points: str
    effort: Annotated[int, Field(gt=0)]
    recall: Annotated[float, Field(ge=0, le=1)]
    content: str


def cache_path(faiss: str, kind: str, points: str) -> Path:
    """Where an index is kept, by all that it depends on."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = f"{kind}-{sha256(f'{faiss} {points}'.encode())[:_DIGITS]}.index"
    return Path(home) / "threedident" / name


def load(path: Path, faiss: str, kind: str, points: str) -> tuple[Header, bytes] | None:
    """A cached index, or None where there is none.

    Raises:
        ValueError: the file is damaged, or of another index.
    """
    try:
        line, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    advice = "delete it, and the index is built anew"
    try:
        header = Header.model_validate_json(line)
    except ValidationError:
        raise ValueError(f"{path}: expected an index, found a damaged file; {advice}") from None
    if header.faiss != faiss:
        raise ValueError(
            f"{path}: expected an index of faiss {faiss}, found one of faiss {header.faiss}; "
            f"{advice}"
        )
    if (header.kind, header.points) != (kind, points):
        raise ValueError(
            f"{path}: expected a {kind} index of these latents, found one of others; {advice}"
        )
    if sha256(content) != header.content:
        raise ValueError(
            f"{path}: expected a whole index, found it cut short or altered; {advice}"
        )
    return header, content


def store(path: Path, content: bytes, **facts: Any) -> None:
    """Keep an index; where that cannot be, say so and go on.

    Arguments:
        path: as :func:`cache_path` gives it.
        content: bytes of the index.
        facts: the fields of its :class:`Header` but the content's digest.
    """
    header = Header(content=sha256(content), **facts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, header.model_dump_json().encode() + b"\n" + content)
    except OSError as error:
        say(f"{explain(error)}; until then, the index is built anew each time")
