"""Words that strangers wrote and everybody will read: what is let through, and how it is shown."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, StringConstraints, ValidationError

_MARKUP = re.compile(r"[<>]")
_LINK = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?(/[^\s<>\"'`\\]*)?")
_SHOWN = 60


def _plain(text: str) -> str:
    if _MARKUP.search(text):
        raise ValueError("expected plain text, found < or >, as in HTML; leave them out")
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            raise ValueError(
                f"expected plain text in one line, found the invisible character "
                f"U+{ord(character):04X}; leave it out"
            )
    if text != text.strip():
        raise ValueError("expected text without space at its ends; leave the space out")
    return text


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
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def explained(error: ValidationError) -> str:
    """The first thing that is wrong, as ``at place: what``."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"])) or "the top"
    what = first["msg"].removeprefix("Value error, ")
    if first["type"] in ("missing", "value_error", "extra_forbidden", "json_invalid"):
        return f"at {place}: {what}"
    return f"at {place}: {what}, found {shown(first['input'])}"
