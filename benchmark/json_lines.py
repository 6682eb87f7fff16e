"""Logs of JSON objects, one a line, which a kill may cut short."""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any


def read_lines(path: Path, needed: Set[str]) -> Iterator[dict[str, Any]]:
    """The objects of a log that have all needed keys, in order; none where there is no file.

    Lines that are damaged or cut short are passed over.

    Arguments:
        path: of the log.
        needed: keys.
    """
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict) and needed <= found.keys():
                yield found
