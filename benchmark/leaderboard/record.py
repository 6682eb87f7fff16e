"""The base of all records of the leaderboard, and strict reading of their JSON.

Records are frozen, and contain no unknown fields and no NaN. Programs differ in how they read an
object with a duplicate name, so duplicate names are refused.
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
_PLACE = 120  # largest length of a place in a message, whose names are untrusted
_BLANK = (0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0)  # letters that are invisible
_MOST_MARKS = 2


class Record(BaseModel):
    """A frozen record that allows no extra fields, conversions, NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


def parse_json(content: bytes, place: str) -> Any:
    """The value of a JSON text without duplicate names.

    Arguments:
        content: the JSON text.
        place: name of the text in messages.

    Raises:
        ValueError: it is not JSON, or an object has a duplicate name, NaN or infinity.
    """
    try:
        return json.loads(content, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{place}: expected JSON, found none ({printable(str(error))}); write it again"
        ) from None


def read_records(path: Path, kind: TypeAdapter[tuple[T, ...]], expected: str) -> tuple[T, ...]:
    """The records in a file of a board; an empty tuple if there is no file.

    Arguments:
        path: path of the file.
        kind: type of all records together.
        expected: name of the content in messages.

    Raises:
        ValueError: the file contains something else.
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
    """The names and values of a JSON object as a dict.

    Raises:
        ValueError: a name occurs twice.
    """
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a name occurs twice in one object")
    return values


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


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
    """True if a letter has more accents than in any language."""
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
    """The text as lower-case letters, digits and single hyphens, for names of folders."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50].rstrip("-") or "method"


def shown(value: object) -> str:
    """The value as text for messages, in one line, and shortened if it is long."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"a deeply nested {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def explained(error: ValidationError) -> str:
    """The first error as text, in the form ``at place: what``."""
    first = error.errors(include_url=False)[0]
    place = printable(".".join(map(str, first["loc"])), _PLACE) or "the top"
    what = printable(first["msg"].removeprefix("Value error, "))  # it may quote what was found
    if first["type"] in ("missing", "value_error", "extra_forbidden", "json_invalid"):
        return f"at {place}: {what}"
    return f"at {place}: {what}, found {shown(first['input'])}"
