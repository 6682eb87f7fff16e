"""Pinned data sets, which maintainers rendered themselves and whose digests are trusted.

The id of a data set follows from its settings, but the digests of its images do not, so the first
submitter could invent them. Rows that contradict a pin are refused. If two records contradict
each other and there is no pin, rows of neither are ranked.
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
        path: path of its ``data.json``.

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
    """Write the pinned data sets of a board to its ``data.json``, in order of their ids."""
    values = [pin.model_dump(mode="json") for pin in sorted(pins, key=lambda pin: pin.id)]
    write_bytes(path, (json.dumps(values, indent=2) + "\n").encode())


def require_same_data(pin: DataRecord, data: DataRecord, name: str) -> None:
    """Check that a data set is the pinned one with the same id.

    Arguments:
        pin: the data set that the board has pinned.
        data: the data set of a submission.
        name: name of the submission in messages.

    Raises:
        ValueError: a field differs; the message names it.
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
