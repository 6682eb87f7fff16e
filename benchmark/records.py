"""Records: dataclasses of numbers, texts and arrays that go to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self

import numpy as np


@dataclass(frozen=True, kw_only=True, repr=False)
class Record:
    """A dataclass that goes to JSON and back, and leaves it to others how it prints."""

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, texts and lists."""
        return {name: _plain(value) for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`; other keys are passed over.

        Fields with a default may be missing, as they are in records of earlier versions.
        """
        required = {field.name for field in fields(cls) if field.default is MISSING}
        names = [f.name for f in fields(cls) if f.name in required or f.name in record]
        return cls(**{name: _restored(record[name]) for name in names})


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def _restored(value: Any) -> Any:
    """Lists of texts as tuples, other lists as arrays."""
    if not isinstance(value, list):
        return value
    return tuple(value) if value and isinstance(value[0], str) else np.array(value)
