"""Layouts: the parts of a latent space that change apart from each other, and their names.

In the box and in R^n every factor is a unit of its own. A sphere is one unit, because its
coordinates are not independent. The periodic space has the units x, y, z and sphere, where the
sphere stands for its seven angles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from threedident.latents.factors import FACTORS
from threedident.latents.spaces import Space, find_space
from threedident.runtime.arrays import is_tensor
from threedident.runtime.errors import nearest, printable

SPHERE = "sphere"
_QUOTED = 80  # characters of a name in a message
_SHOWN = 24  # names in a message
_RUN = 3  # names in a row that are spelled as a range


class Unit(NamedTuple):
    """A factor, or several that are redrawn together.

    Arguments:
        name: name of the factor, or ``sphere``.
        factors: numbers of its factors among all factors of the space.
        columns: its columns in a row of latents.
        held: names of its fixed factors, which forbid to redraw it.
    """

    name: str
    factors: tuple[int, ...]
    columns: tuple[int, ...]
    held: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """The units of a latent space.

    Arguments:
        space: ``box``, ``periodic``, ``sphere`` or ``real``.
        factors: names of all factors.
        units: units that are not fixed, in the order of their columns.
        groups: names of groups of units, each with the names of its units.
    """

    space: Literal["box", "periodic", "sphere", "real"]
    factors: tuple[str, ...]
    units: tuple[Unit, ...]
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the units."""
        return tuple(unit.name for unit in self.units)

    @property
    def dimension(self) -> int:
        """Columns of a row of latents."""
        return len(find_space("periodic").columns if self.space == "periodic" else self.factors)

    def unit(self, name: str) -> Unit:
        """The unit of that name."""
        return self.units[self.names.index(name)]

    def sort(self, names: Iterable[str]) -> tuple[str, ...]:
        """Names of units in their order."""
        return tuple(sorted(names, key=self.names.index))

    def over_factors(self, mask: Any) -> Any:
        """A mask over units, shape (B, units), as a mask over all factors, shape (B, factors)."""
        return self._spread(mask, [unit.factors for unit in self.units], len(self.factors))

    def over_columns(self, mask: Any) -> Any:
        """A mask over units, shape (B, units), as a mask over columns, shape (B, columns)."""
        return self._spread(mask, [unit.columns for unit in self.units], self.dimension)

    def _spread(self, mask: Any, places: list[tuple[int, ...]], width: int) -> Any:
        shape = (len(mask), width)
        wide = mask.new_zeros(shape) if is_tensor(mask) else np.zeros(shape, np.bool_)
        for number, where in enumerate(places):
            wide[:, list(where)] = mask[:, [number]]
        return wide

    def read(self, text: str) -> tuple[str, ...]:
        """The units named by a factor, a group or a range such as ``z1..z5``, in their order.

        A fixed factor names no unit.

        Raises:
            ValueError: there is no such factor or group, or the range has no order.
        """
        groups = {name: members for group, members in self.groups for name in (group, f"{group}s")}
        if text in groups:
            return groups[text]
        first, dots, last = text.partition("..")
        if not dots:
            return (text,) if self._place(text) in self._free else ()
        low, high = self._place(first.strip()), self._place(last.strip())
        if low > high:
            raise ValueError(f"expected a range from the first to the last, found {text!r}")
        return tuple(u.name for u in self.units if low <= u.factors[0] <= high)

    @property
    def _free(self) -> set[int]:
        return {unit.factors[0] for unit in self.units}

    def _place(self, name: str) -> int:
        """Number of the first factor of a name.

        Raises:
            ValueError: there is no such factor, or it is a coordinate of the sphere.
        """
        if name in self.names:
            return self.unit(name).factors[0]
        if SPHERE in self.names and name in self._on_the_sphere():
            raise ValueError(
                f"expected the sphere as a whole, found {name}, which is a part of it; name "
                f"{SPHERE}"
            )
        if name in self.factors:
            return self.factors.index(name)
        known = [*self.names, *(group for group, _ in self.groups), "rest"]
        names = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
        near = nearest(name[:_QUOTED], known)
        end = "" if near is None else f"; did you mean {near!r}?"
        found = repr(printable(name, _QUOTED))
        raise ValueError(f"expected factors among {names}, found {found}{end}")

    def _on_the_sphere(self) -> set[str]:
        inside = {self.factors[number] for number in self.unit(SPHERE).factors}
        groups = {factor.group for factor in FACTORS if factor.name in inside}
        return inside | groups | {f"{group}s" for group in groups}

    def spell(self, names: Iterable[str]) -> str:
        """The shortest text that names these units: groups, ranges of numbered factors, names."""
        left, words = list(self.sort(names)), {}
        for group, members in self.groups:
            if len(members) > 1 and set(members) <= set(left):
                words[members[0]] = group
                left = [name for name in left if name not in members]
        for run in _runs([self.names.index(name) for name in left]):
            named = [self.names[place] for place in run]
            if len(run) >= _RUN and not self.groups:
                words[named[0]] = f"{named[0]}..{named[-1]}"
            else:
                words |= {name: name for name in named}
        return ",".join(words[name] for name in self.sort(words))


def layout_of(space: str, fixed: Mapping[str, float] | None = None) -> Layout:
    """The layout of a latent space of images.

    Arguments:
        space: ``box`` or ``periodic``.
        fixed: raw value of each fixed factor, which is no unit. An angle of the periodic space
            is a part of its sphere, which can then only be kept.

    Raises:
        ValueError: there is no such space, or the factors cannot be fixed like this.
    """
    where = find_space(space)
    held = where.check_fixed(fixed or {}, "fixed")
    units = [
        Unit(factor.name, (number,), (number,))
        for number, factor in enumerate(FACTORS[: where.flat])
        if factor.name not in held
    ]
    if where.flat < len(where.columns):
        units.append(_sphere_of(where, tuple(held)))
    free = {unit.name for unit in units}
    members = {
        group: tuple(f.name for f in FACTORS if f.group == group and f.name in free)
        for group in dict.fromkeys(factor.group for factor in FACTORS[: where.flat])
    }
    return Layout(
        "periodic" if where.flat < len(where.columns) else "box",
        tuple(factor.name for factor in FACTORS),
        tuple(units),
        tuple(members.items()),
    )


def _sphere_of(where: Space, held: tuple[str, ...]) -> Unit:
    factors = range(where.flat, len(FACTORS))
    inside = {FACTORS[number].name for number in factors}
    return Unit(
        SPHERE,
        tuple(factors),
        tuple(range(where.flat, len(where.columns))),
        tuple(name for name in held if name in inside),
    )


def numbered_layout(space: Literal["box", "sphere", "real"], count: int) -> Layout:
    """The layout of latents z1, z2, ... that are no factors of images.

    Arguments:
        space: ``box`` and ``real`` have one unit for each latent, ``sphere`` has one for all.
        count: number of latents.
    """
    factors = tuple(f"z{number + 1}" for number in range(count))
    if space == SPHERE:
        every = tuple(range(count))
        return Layout(space, factors, (Unit(SPHERE, every, every),))
    units = tuple(Unit(name, (number,), (number,)) for number, name in enumerate(factors))
    return Layout(space, factors, units)


def _runs(places: list[int]) -> list[list[int]]:
    """Ascending numbers, cut where one is missing."""
    array: NDArray[np.int64] = np.array(places, dtype=np.int64)
    if not len(array):
        return []
    return [part.tolist() for part in np.split(array, np.flatnonzero(np.diff(array) > 1) + 1)]
