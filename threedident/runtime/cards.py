"""Cards: the printed form of the library's objects, as text and in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from html import escape


def in_line(card: Card) -> str:
    """A card in one line, such as ``Normal(scale 0.1, space box)``."""
    facts = ", ".join(f"{name} {value}" for name, value in card.card().items())
    return f"{card.card_title()}({facts})"


class Card(ABC):
    """An object that prints as a title and a few named facts, as torchvision's data sets do."""

    @abstractmethod
    def card(self) -> dict[str, str]:
        """The facts of the card by name, in the order of printing."""

    def card_title(self) -> str:
        """The first line of the card."""
        return type(self).__name__

    def __repr__(self) -> str:
        lines = (f"    {name}: {value}" for name, value in self.card().items())
        return "\n".join([self.card_title(), *lines])

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        """The card as an HTML table, for a notebook."""
        rows = "".join(
            f'<tr><th style="text-align:left">{escape(name)}</th>'
            f'<td style="text-align:left">{escape(value)}</td></tr>'
            for name, value in self.card().items()
        )
        return f"<table><caption>{escape(self.card_title())}</caption>{rows}</table>"
