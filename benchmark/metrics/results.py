"""Records of scores: dataclasses that can be written as JSON, and printed as tables."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from html import escape
from typing import Any, Self

import numpy as np

from threedident.runtime.cards import Card

_IN_WORDS = {"float": "a number", "Array": "numbers", "NDArray[np.int64]": "integers"}
NONE = "\N{EN DASH}"  # printed for a number that is withheld or unknown


@dataclass(frozen=True, kw_only=True, repr=False)
class JsonRecord:
    """A dataclass of numbers, texts and arrays that can be converted to JSON and back."""

    def to_json(self) -> dict[str, Any]:
        """The record as plain numbers, texts and lists."""
        return {name: _plain(value) for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`. Other keys are ignored.

        Fields with a default may be missing, because records of earlier versions lack them.

        Raises:
            ValueError: a field is missing or has a wrong type; the message names it.
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
    """The value, with a list of texts or of bools as a tuple and any other list as an array."""
    if not isinstance(value, list):
        return value
    if value and any(all(isinstance(each, kind) for each in value) for kind in (str, bool)):
        return tuple(value)
    try:
        return np.array(value)
    except ValueError:
        raise ValueError(f"at {name}: expected rows of one length, found others") from None


def _check(name: str, kind: str, value: Any) -> None:
    """Check that a value has the type of its field, if the field holds numbers.

    Raises:
        ValueError: the value has another type.
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


class ScoreTable(Card):
    """A card with one line of facts, a table of the factors, and notes below it."""

    @abstractmethod
    def columns(self) -> dict[str, list[str]]:
        """The columns of the table by name. The first column names the factors."""

    def notes(self) -> list[str]:
        """Notes to print below the table."""
        return []

    def __repr__(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self.card().items())
        notes = (f"note: {note}" for note in self.notes())
        return "\n".join([f"{self.card_title()}: {facts}", *_aligned(self.columns()), *notes])

    def _repr_html_(self) -> str:
        """The card as two HTML tables, for notebooks."""
        columns = self.columns()
        rows = [_html_row("th", columns), *(_html_row("td", row) for row in _rows(columns))]
        notes = "".join(f"<p>note: {escape(note)}</p>" for note in self.notes())
        return f"{super()._repr_html_()}<table>{''.join(rows)}</table>{notes}"


def spell(value: float | None) -> str:
    """A score with three decimals, or a dash if it is None."""
    return NONE if value is None else f"{value:.3f}"


def spell_all(values: Iterable[float] | None, count: int) -> list[str]:
    """A column of ``count`` scores, or of dashes if there are no scores."""
    return [NONE] * count if values is None else [spell(value) for value in values]


def factor_names(labels: Sequence[str] | None, count: int) -> list[str]:
    """Names of the factors, or the numbers of their columns if there are no names."""
    return [str(i) for i in range(count)] if labels is None else list(labels)


def _rows(columns: dict[str, list[str]]) -> Iterable[tuple[str, ...]]:
    return zip(*columns.values(), strict=True)


def _aligned(columns: dict[str, list[str]]) -> list[str]:
    """Lines of text, with the first column aligned left and the others aligned right."""
    widths = [max(map(len, [name, *cells])) for name, cells in columns.items()]
    return [
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [tuple(columns), *_rows(columns)]
    ]


def _html_row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
