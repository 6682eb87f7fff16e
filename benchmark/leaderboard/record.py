"""What all records of the leaderboard are, and how their JSON is read.

They are frozen, complete, and without NaN. A name that stands twice in one object would be read
differently by different programs, so no reader takes it.
"""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from benchmark.leaderboard.texts import explained
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
