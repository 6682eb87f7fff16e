"""Records: dataclasses of numbers, texts and arrays that go to JSON and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Self

import numpy as np

_IN_WORDS = {"float": "a number", "Array": "numbers", "NDArray[np.int64]": "integers"}


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

        Raises:
            ValueError: a field is missing, or of another kind; the message names it.
        """
        values = {}
        for field in fields(cls):
            if field.name in record:
                value = _restored(field.name, record[field.name])
                _check(field.name, str(field.type), value)
                values[field.name] = value
            elif field.default is MISSING:
                raise ValueError(f"at {field.name}: expected a value, found none")
        return cls(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return list(value) if isinstance(value, tuple) else value


def _restored(name: str, value: Any) -> Any:
    """Lists of texts as tuples, other lists as arrays."""
    if not isinstance(value, list):
        return value
    if value and all(isinstance(each, str) for each in value):
        return tuple(value)
    try:
        return np.array(value)
    except ValueError:
        raise ValueError(f"at {name}: expected rows of one length, found others") from None


def _check(name: str, kind: str, value: Any) -> None:
    """Check a value against the annotation of its field, as far as that is of numbers.

    Raises:
        ValueError: it is of another kind.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool)
    array = value.dtype.kind if isinstance(value, np.ndarray) else ""
    fits = {
        "float": number,
        "Array": array in ("i", "f"),
        "NDArray[np.int64]": array == "i",
    }
    if not fits.get(kind, True):
        raise ValueError(f"at {name}: expected {_IN_WORDS[kind]}, found {type(value).__name__}")
