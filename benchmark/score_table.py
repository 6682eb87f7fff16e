"""Results that print as one line of facts and a table with one row for each factor."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from html import escape

from threedident.runtime.cards import Card

NONE = "\N{EN DASH}"  # what stands for a number that is withheld or unknown


class ScoreTable(Card):
    """A card whose facts stand in one line, above a table of the factors and any notes."""

    @abstractmethod
    def columns(self) -> dict[str, list[str]]:
        """The columns of the table by name, names of the factors first."""

    def notes(self) -> list[str]:
        """Remarks below the table."""
        return []

    def __repr__(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self.card().items())
        notes = (f"note: {note}" for note in self.notes())
        return "\n".join([f"{self.card_title()}: {facts}", *_aligned(self.columns()), *notes])

    def _repr_html_(self) -> str:
        """The same as two tables, for a notebook."""
        columns = self.columns()
        rows = [_html_row("th", columns), *(_html_row("td", row) for row in _rows(columns))]
        notes = "".join(f"<p>note: {escape(note)}</p>" for note in self.notes())
        return f"{super()._repr_html_()}<table>{''.join(rows)}</table>{notes}"


def spell(value: float | None) -> str:
    """A score with three digits, or a dash where there is none."""
    return NONE if value is None else f"{value:.3f}"


def spell_all(values: Iterable[float] | None, count: int) -> list[str]:
    """A column of scores, of dashes where there is none."""
    return [NONE] * count if values is None else [spell(value) for value in values]


def factor_names(labels: Sequence[str] | None, count: int) -> list[str]:
    """Names of the factors; the numbers of their columns where they have none."""
    return [str(i) for i in range(count)] if labels is None else list(labels)


def _rows(columns: dict[str, list[str]]) -> Iterable[tuple[str, ...]]:
    return zip(*columns.values(), strict=True)


def _aligned(columns: dict[str, list[str]]) -> list[str]:
    """Lines of text, the first column to the left and the others to the right."""
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
