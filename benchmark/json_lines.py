"""Logs of JSON objects, one a line, which a kill may cut short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from threedident.json_text import parse_json


def read_lines(
    path: Path, needed: Mapping[str, type | tuple[type, ...]]
) -> Iterator[dict[str, Any]]:
    """The objects of a log that have all needed entries, in order; none where there is no file.

    Lines that are damaged or cut short are passed over.

    Arguments:
        path: of the log.
        needed: the types of entries by their names; no boolean counts as a number.
    """
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                found = parse_json(line)
            except ValueError:
                continue
            if isinstance(found, dict) and all(_is(found.get(n), needed[n]) for n in needed):
                yield found


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
