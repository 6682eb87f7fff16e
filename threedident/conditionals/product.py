"""Products of conditionals: p(z~ | z) of a whole latent space from independent parts.

Each part draws its own columns. Columns without a part are copied from the anchor. So a fixed
factor stays fixed, and the periodic space has one conditional for its positions and a von
Mises-Fisher for its sphere.

In a masked product some blocks of columns change for some pairs only: each with one probability
and independently, or a fixed number of them, chosen uniformly. The others are copied as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from threedident.conditionals.conditional import Conditional
from threedident.runtime.arrays import is_tensor, namespace
from threedident.runtime.cards import Card, in_line


class Part(NamedTuple):
    """Columns of a row and the conditional that draws them."""

    columns: tuple[int, ...]
    conditional: Conditional


@dataclass(frozen=True, repr=False)
class Product(Conditional):
    """Independent conditionals over disjoint columns; all other columns are copied.

    Arguments:
        dimension: columns d of a row.
        parts: parts in order; each takes the next uniform numbers of a row.

    Raises:
        ValueError: two parts draw the same column, a column is not below d, or a part does not
            accept its number of columns.
    """

    dimension: int
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        columns = [column for part in self.parts for column in part.columns]
        if len(set(columns)) < len(columns) or not set(columns) <= set(range(self.dimension)):
            raise ValueError(
                f"parts: expected disjoint columns below {self.dimension}, found {columns}; give "
                "each column to one part"
            )
        self.count(self.dimension)

    def count(self, dimension: int) -> int:
        """Number of uniform numbers for a row: the sum over the parts.

        Raises:
            ValueError: ``dimension`` is not that of the product.
        """
        if dimension != self.dimension:
            raise ValueError(
                f"latents: expected rows of {self.dimension} columns, found {dimension}; take "
                "latents of the space that the conditional was made for"
            )
        return sum(part.conditional.count(len(part.columns)) for part in self.parts)

    def place(self, rows: Any) -> Any:
        """See :class:`Conditional`; each part checks its own columns."""
        placed = _copy(rows)
        for part in self.parts:
            _set(placed, part.columns, part.conditional.place(_get(rows, part.columns)))
        return placed

    def draw(self, anchors: Any, uniforms: Any) -> Any:
        """See :class:`Conditional`."""
        positives, first = _copy(anchors), 0
        for part in self.parts:
            end = first + part.conditional.count(len(part.columns))
            drawn = part.conditional.draw(_get(anchors, part.columns), uniforms[:, first:end])
            _set(positives, part.columns, drawn)
            first = end
        return positives

    def __repr__(self) -> str:
        return Card.__repr__(self)

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        return {f"columns {_span(part.columns)}": in_line(part.conditional) for part in self.parts}


@dataclass(frozen=True)
class Choice:
    """Blocks of columns of which a pair changes some.

    Arguments:
        blocks: columns of each block.
        chance: probability that a block changes, each independently of the others.
        count: number of blocks that change, chosen uniformly; None if ``chance`` decides.
    """

    blocks: tuple[tuple[int, ...], ...]
    chance: float = 1.0
    count: int | None = None

    def acting(self, uniforms: Any) -> Any:
        """The blocks that change, shape (B, blocks), bool, from uniform numbers of that shape."""
        if self.count is None:
            return uniforms < self.chance
        return _order(_order(uniforms)) < self.count  # ranks among the numbers of the row


@dataclass(frozen=True, repr=False)
class Masked(Conditional):
    """A product of which some blocks change for some pairs only.

    Arguments:
        product: conditional of all columns that may change. It takes the first uniform numbers of
            a row.
        choices: choices over columns of the product; each takes one number for each block.
    """

    product: Product
    choices: tuple[Choice, ...]

    def count(self, dimension: int) -> int:
        """See :class:`Conditional`: the numbers of the product, and one for each block."""
        return self.product.count(dimension) + sum(len(choice.blocks) for choice in self.choices)

    def place(self, rows: Any) -> Any:
        """See :class:`Conditional`; the rows are returned unchanged, so that copies are exact."""
        self.product.place(rows)
        return rows

    def draw(self, anchors: Any, uniforms: Any) -> Any:
        """See :class:`Conditional`."""
        first = self.product.count(anchors.shape[1])
        positives = self.product.draw(self.product.place(anchors), uniforms[:, :first])
        masks = self.masks(uniforms)
        xp = namespace(anchors)
        for choice, mask in zip(self.choices, masks, strict=True):
            for number, block in enumerate(choice.blocks):
                for column in block:
                    moved, kept = positives[:, column], anchors[:, column]
                    positives[:, column] = xp.where(mask[:, number], moved, kept)
        return positives

    def masks(self, uniforms: Any) -> Sequence[Any]:
        """The blocks of each choice that change, shape (B, blocks) each, bool.

        Arguments:
            uniforms: shape (B, count).
        """
        first, found = self.product.count(self.product.dimension), []
        for choice in self.choices:
            end = first + len(choice.blocks)
            found.append(choice.acting(uniforms[:, first:end]))
            first = end
        return found

    def __repr__(self) -> str:
        return Card.__repr__(self)

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        return self.product.card() | {
            f"of columns {_span([column for block in choice.blocks for column in block])}": (
                f"each changes with probability {choice.chance:g}"
                if choice.count is None
                else f"{choice.count} of {len(choice.blocks)} blocks change"
            )
            for choice in self.choices
        }


def _order(rows: Any) -> Any:
    """Places of the numbers of each row in ascending order, the same for arrays and tensors."""
    return rows.argsort(stable=True, dim=1) if is_tensor(rows) else rows.argsort(1, kind="stable")


def _span(columns: Sequence[int]) -> str:
    whole = len(columns) > 2 and list(columns) == list(range(columns[0], columns[-1] + 1))
    return f"{columns[0]} to {columns[-1]}" if whole else ", ".join(map(str, columns))


def _get(rows: Any, columns: tuple[int, ...]) -> Any:
    """Columns of rows. A list as index would be sent to a GPU, and the host would wait for it."""
    span = _consecutive(columns)
    if span is not None:
        return rows[:, span]
    return namespace(rows).stack([rows[:, column] for column in columns], 1)


def _set(rows: Any, columns: tuple[int, ...], values: Any) -> None:
    """Set columns of rows, without a list as index."""
    span = _consecutive(columns)
    if span is not None:
        rows[:, span] = values
        return
    for place, column in enumerate(columns):
        rows[:, column] = values[:, place]


def _consecutive(columns: tuple[int, ...]) -> slice | None:
    """The slice of columns that follow each other; None for others."""
    first = columns[0] if columns else 0
    end = first + len(columns)
    return slice(first, end) if columns == tuple(range(first, end)) else None


def _copy(rows: Any) -> Any:
    return rows.clone() if is_tensor(rows) else rows.copy()
