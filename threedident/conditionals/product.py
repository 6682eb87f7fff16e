"""Products of conditionals: p(z~ | z) of a whole latent space from independent parts.

Each part draws its own columns. Columns without a part are copied from the anchor. So a fixed
factor stays fixed, and the periodic space has one conditional for its positions and a von
Mises-Fisher for its sphere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from threedident.conditionals.conditional import Conditional
from threedident.conditionals.law import Law, conditional_of, parse_laws
from threedident.latents.spaces import find_space
from threedident.runtime.arrays import is_tensor
from threedident.runtime.cards import Card, in_line

_FORMS = "normal:S, laplace:S, gennormB:S or uniform:S"


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
            columns = list(part.columns)
            placed[:, columns] = part.conditional.place(rows[:, columns])
        return placed

    def draw(self, anchors: Any, uniforms: Any) -> Any:
        """See :class:`Conditional`."""
        positives, first = _copy(anchors), 0
        for part in self.parts:
            columns = list(part.columns)
            end = first + part.conditional.count(len(columns))
            positives[:, columns] = part.conditional.draw(
                anchors[:, columns], uniforms[:, first:end]
            )
            first = end
        return positives

    def __repr__(self) -> str:
        return Card.__repr__(self)

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        return {f"columns {_span(part.columns)}": in_line(part.conditional) for part in self.parts}


def _span(columns: Sequence[int]) -> str:
    whole = len(columns) > 2 and list(columns) == list(range(columns[0], columns[-1] + 1))
    return f"{columns[0]} to {columns[-1]}" if whole else ", ".join(map(str, columns))


def parse_conditional(text: str, space: str, fixed: Mapping[str, float]) -> Product:
    """The conditional over a latent space from the value of ``--pairs``.

    Coordinates in [-1, 1] have the named conditional. A sphere has a von Mises-Fisher with
    kappa = 1 / S, as in the paper.

    Arguments:
        text: ``normal:S``, ``laplace:S``, ``gennormB:S`` or ``uniform:S`` with exponent B >= 1
            and scale S > 0, such as ``gennorm3:0.1``; in the box also with one scale for each
            free column, such as ``normal:0.1,0.2,0.1``.
        space: name of the latent space.
        fixed: raw value of each fixed factor; positives copy it from their anchors.

    Raises:
        ValueError: the text names no conditional, or an angle of the periodic space is fixed.
    """
    where = find_space(space)
    held = where.check_fixed(fixed, "fixed")
    mixed = [name for name in held if name not in where.columns]
    if mixed:
        raise ValueError(
            f"--pairs: expected no fixed angle in the {space} space, found {', '.join(mixed)} "
            "fixed, but then positives cannot follow a von Mises-Fisher; fix positions only, or "
            "take the box"
        )
    free = tuple(i for i, name in enumerate(where.columns[: where.flat]) if name not in held)
    sphere = tuple(range(where.flat, len(where.columns)))
    try:
        laws = parse_laws(text)
        _check_scales(len(laws), 1 if sphere else len(free))
        parts = [Part(free, conditional_of(laws))]
        if sphere:
            parts.append(Part(sphere, Law("vmf", laws[0].sigma).conditional("sphere")))
    except ValueError as error:
        raise ValueError(f"--pairs: expected {_FORMS}, found {text!r}; {error}") from None
    return Product(len(where.columns), tuple(parts))


def _check_scales(count: int, most: int) -> None:
    if count not in (1, most):
        several = f" or {most}, one for each free column" if most > 1 else ", as a sphere takes"
        raise ValueError(f"scale S: expected one number{several}, found {count}; give so many")


def _copy(rows: Any) -> Any:
    return rows.clone() if is_tensor(rows) else rows.copy()
