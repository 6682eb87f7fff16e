"""Logs of JSON objects, one a line, which a kill may cut short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from threedident.runtime.files import MOST_JSON, open_plain, whole_lines
from threedident.runtime.records import parse_json


def read_lines(
    path: Path, needed: Mapping[str, type | tuple[type, ...]]
) -> Iterator[dict[str, Any]]:
    """The objects of a log that have all needed entries, in order; none where there is no file.

    Lines that are damaged, cut short or longer than any record are passed over.

    Arguments:
        path: of the log.
        needed: the types of entries by their names; no boolean counts as a number.
    """
    if not path.is_file():
        return
    with open_plain(path) as file:
        for line in whole_lines(file, MOST_JSON):
            try:
                found = parse_json(line.decode(errors="replace"))
            except ValueError:
                continue
            if isinstance(found, dict) and all(_is(found.get(n), needed[n]) for n in needed):
                yield found


def _is(value: object, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
