"""Pinned data sets: those that maintainers drew themselves, and whose digests they vouch for.

The id of a data set follows from its settings, its images' digests do not: whoever comes first
could invent them. Rows that contradict a pin are refused. Where no pin says which of two records
is right, rows of neither are ranked.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter

from benchmark.leaderboard.record import read_records
from benchmark.leaderboard.submission.data import DataRecord, SplitDigests
from threedident.runtime.files import write_bytes

_PINS = TypeAdapter(tuple[DataRecord, ...])


def read_pins(path: Path) -> dict[str, DataRecord]:
    """The pinned data sets of a board, by id.

    Arguments:
        path: of its ``data.json``.

    Raises:
        ValueError: the file is damaged, or pins an id twice.
    """
    found: dict[str, DataRecord] = {}
    for record in read_records(path, _PINS, "a list of data sets"):
        if record.id in found:
            raise ValueError(
                f"{path}: expected each data set once, found {record.id} twice; restore the file"
            )
        found[record.id] = record
    return found


def write_pins(path: Path, pins: Sequence[DataRecord]) -> None:
    """Put the pinned data sets of a board into its ``data.json``, in order of their ids."""
    values = [pin.model_dump(mode="json") for pin in sorted(pins, key=lambda pin: pin.id)]
    write_bytes(path, (json.dumps(values, indent=2) + "\n").encode())


def require_same_data(pin: DataRecord, data: DataRecord, name: str) -> None:
    """Refuse another data set under the id of a pinned one.

    Arguments:
        pin: what the board has pinned.
        data: what a submission names.
        name: of the submission.

    Raises:
        ValueError: a field differs; the message says which.
    """
    fields = type(pin).model_fields
    field = next((name for name in fields if getattr(pin, name) != getattr(data, name)), None)
    if field is not None:
        was, found = (_spell(getattr(record, field)) for record in (pin, data))
        raise ValueError(
            f"{name}: expected the data set {data.id} as the board has pinned it, found another "
            f"{field} ({found}, not {was}); render it with the same settings"
        )


def _spell(value: object) -> str:
    if isinstance(value, SplitDigests):
        return f"train {value.train[:12]}, test {value.test[:12]}"
    return str(value)
