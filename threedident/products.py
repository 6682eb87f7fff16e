"""Products of conditionals: p(z~ | z) of a whole latent space from its parts.

The parts are independent and each draws columns of its own; columns of no part are copied from
the anchor. So a fixed factor stays fixed, and the periodic space takes one law for its positions
and a von Mises-Fisher for its sphere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from threedident.conditionals import (
    Array,
    Conditional,
    GeneralizedNormal,
    Laplace,
    Normal,
    Uniform,
    VonMisesFisher,
    as_rows,
)
from threedident.spaces import find_space

_FORMS = "normal:S, laplace:S, gennormB:S or uniform:S"
_LAWS: dict[str, Callable[[float], Conditional]] = {
    "normal": Normal,
    "laplace": Laplace,
    "uniform": Uniform,
}
_GENERAL = "gennorm"


class Part(NamedTuple):
    """Columns of a row and the conditional that draws them."""

    columns: tuple[int, ...]
    conditional: Conditional


@dataclass(frozen=True)
class Product(Conditional):
    """Independent conditionals over disjoint columns; all other columns are copied.

    Arguments:
        dimension: columns d of a row.
        parts: drawn from successive uniform numbers, each from its own.

    Raises:
        ValueError: a column is drawn twice, or is none of the d.
    """

    dimension: int
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        columns = [column for part in self.parts for column in part.columns]
        if len(set(columns)) < len(columns) or not set(columns) <= set(range(self.dimension)):
            raise ValueError(
                f"parts: expected disjoint columns below {self.dimension}, found {columns}"
            )

    def count(self, dimension: int) -> int:
        """The sum over the parts.

        Raises:
            ValueError: the rows have another dimension.
        """
        if dimension != self.dimension:
            raise ValueError(
                f"latents: expected rows of {self.dimension} columns, found {dimension}; take "
                "latents of the space that the conditional was made for"
            )
        return sum(part.conditional.count(len(part.columns)) for part in self.parts)

    def transform(self, latents: ArrayLike, uniforms: ArrayLike) -> Array:
        """See :class:`Conditional`."""
        positives, u = as_rows(latents).copy(), np.asarray(uniforms)
        self.count(positives.shape[1])
        first = 0
        for part in self.parts:
            columns = list(part.columns)
            end = first + part.conditional.count(len(columns))
            positives[:, columns] = part.conditional.transform(
                positives[:, columns], u[:, first:end]
            )
            first = end
        return positives


def parse_conditional(text: str, space: str, fixed: Mapping[str, float]) -> Product:
    """The conditional over a latent space from the value of ``--pairs``.

    Coordinates in [-1, 1] take the named law; a sphere takes a von Mises-Fisher with
    kappa = 1 / S, as published.

    Arguments:
        text: ``normal:S``, ``laplace:S``, ``gennormB:S`` or ``uniform:S`` with scale S > 0 and
            exponent B >= 1, such as ``gennorm3:0.1``.
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
            "fixed, given which no positive follows a von Mises-Fisher; fix positions alone, or "
            "take the box"
        )
    free = tuple(i for i, name in enumerate(where.columns[: where.flat]) if name not in held)
    sphere = tuple(range(where.flat, len(where.columns)))
    try:
        law, scale = _parse_law(text)
        parts = [Part(free, law)]
        if sphere:
            parts.append(Part(sphere, VonMisesFisher(1.0 / scale)))
    except ValueError as error:
        raise ValueError(f"--pairs: expected {_FORMS}, found {text!r}; {error}") from None
    return Product(len(where.columns), tuple(parts))


def _parse_law(text: str) -> tuple[Conditional, float]:
    """The law of a coordinate and its scale."""
    name, _, number = text.partition(":")
    if name.startswith(_GENERAL):
        scale = _number(number, "scale S")
        return GeneralizedNormal(scale, _number(name.removeprefix(_GENERAL), "exponent B")), scale
    if name not in _LAWS:
        raise ValueError("name one of these, such as normal:0.1")
    scale = _number(number, "scale S")
    return _LAWS[name](scale), scale


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        found = repr(text) if text else "none"
        raise ValueError(f"{name}: expected a number, found {found}") from None
