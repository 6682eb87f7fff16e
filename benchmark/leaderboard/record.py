"""What all records of the leaderboard are, and how their JSON is read.

They are frozen, complete, and without NaN. A name that stands twice in one object would be read
differently by different programs, so no reader takes it.
"""

from __future__ import annotations

import datetime
import json
import re
import unicodedata
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from threedident.latents.philox import SEEDS
from threedident.runtime.errors import printable
from threedident.runtime.files import MOST_JSON, read_plain

T = TypeVar("T")
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]  # SHA-256
Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]  # of a renderer
Seed = Annotated[int, Field(ge=0, lt=SEEDS)]
Signature = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]  # Ed25519
Date = Annotated[
    datetime.date, Field(ge=datetime.date(2000, 1, 1), le=datetime.date(2099, 12, 31))
]
_MARKUP = re.compile(r"[<>]")
_LINK = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?(/[^\s<>\"'`\\]*)?")
_SHOWN = 60
_PLACE = 120  # names in it may be a stranger's
_BLANK = (0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0)  # letters that show nothing
_MOST_MARKS = 2


class Record(BaseModel):
    """A frozen record without other fields, conversions, NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


def parse_json(content: bytes, place: str) -> Any:
    """The value of JSON in which no name stands twice in one object.

    Raises:
        ValueError: it is none.
    """
    try:
        return json.loads(content, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{place}: expected JSON, found none ({printable(str(error))}); write it again"
        ) from None


def read_records(path: Path, kind: TypeAdapter[tuple[T, ...]], expected: str) -> tuple[T, ...]:
    """The records of a board's file, none where there is no file.

    Arguments:
        path: of the file.
        kind: of all of them.
        expected: what messages call it.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        content = read_plain(path, MOST_JSON)
    except FileNotFoundError:
        return ()
    parse_json(content, str(path))
    try:
        return kind.validate_json(content)
    except ValidationError as error:
        raise ValueError(f"{path}: expected {expected}, but {explained(error)}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object none of whose names is there twice."""
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return values


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _plain(text: str) -> str:
    if _MARKUP.search(text):
        raise ValueError("expected plain text, found < or >, as in HTML; leave them out")
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            raise ValueError(
                f"expected plain text in one line, found the invisible character "
                f"U+{ord(character):04X}; leave it out"
            )
    if _stacked(text):
        raise ValueError("expected plain text, found a pile of accents; leave them out")
    if not any(c.isalnum() and ord(c) not in _BLANK for c in text):
        raise ValueError("expected plain text, found no visible letter; write some")
    if text != text.strip():
        raise ValueError("expected text without space at its ends; leave the space out")
    return text


def _stacked(text: str) -> bool:
    """Whether more accents are piled on one letter than any language has."""
    marks = "".join("m" if unicodedata.category(c).startswith("M") else "-" for c in text)
    return "m" * (_MOST_MARKS + 1) in marks


def _link(text: str) -> str:
    if not _LINK.fullmatch(text):
        raise ValueError(
            f"expected a link that begins with https:// or http://, found {shown(text)}; give one"
        )
    return text


Text = Annotated[str, StringConstraints(min_length=1, max_length=100), AfterValidator(_plain)]
LongText = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_plain)]
Link = Annotated[
    str, StringConstraints(max_length=300), AfterValidator(_plain), AfterValidator(_link)
]


def slug(text: str) -> str:
    """Lower-case letters, digits and single hyphens, for names of folders."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50].rstrip("-") or "method"


def shown(value: object) -> str:
    """A value as messages quote it: in one line, and cut where it is long."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"a deeply nested {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def explained(error: ValidationError) -> str:
    """The first thing that is wrong, as ``at place: what``."""
    first = error.errors(include_url=False)[0]
    place = printable(".".join(map(str, first["loc"])), _PLACE) or "the top"
    what = printable(first["msg"].removeprefix("Value error, "))  # it may quote what was found
    if first["type"] in ("missing", "value_error", "extra_forbidden", "json_invalid"):
        return f"at {place}: {what}"
    return f"at {place}: {what}, found {shown(first['input'])}"
