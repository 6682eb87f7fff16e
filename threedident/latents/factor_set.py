"""Chosen factors of a latent space: their names, their columns, and how they are scored.

A factor in [-1, 1] is scored by its raw value. An angle of the periodic space has no ends: its
values just above 0 and just below 2 pi are neighbours. It is called circular, and is scored by its
cosine and sine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from threedident.latents.factors import FACTORS, LABELS, NAMES
from threedident.latents.spaces import Space, find_space
from threedident.runtime.errors import unknown

_GROUPS = tuple(dict.fromkeys(factor.group for factor in FACTORS))
_CONSTANT = 1e-5  # largest range of a constant factor, relative to its magnitude; float32 rounds


@dataclass(frozen=True)
class FactorSet:
    """Some factors of a latent space.

    Arguments:
        space: name of the latent space.
        names: names of the factors, in the order of the table of factors.

    Raises:
        ValueError: the space does not exist, a name is unknown or appears twice, or there is no
            name.
    """

    space: str = "box"
    names: tuple[str, ...] = NAMES

    def __post_init__(self) -> None:
        find_space(self.space)
        for name in self.names:
            if name not in NAMES:
                raise ValueError(unknown("factors", name, NAMES))
        if not self.names or sorted(self._places) != self._places or self._has_copies():
            raise ValueError(
                f"factors: expected different names in the order {', '.join(NAMES)}, found "
                f"{', '.join(self.names) or 'none'}; give each once"
            )

    def _has_copies(self) -> bool:
        return len(set(self.names)) < len(self.names)

    @property
    def _places(self) -> list[int]:
        return [NAMES.index(name) for name in self.names]

    @property
    def _where(self) -> Space:
        return find_space(self.space)

    @property
    def labels(self) -> tuple[str, ...]:
        """Readable names of the factors."""
        return tuple(LABELS[place] for place in self._places)

    @property
    def circular(self) -> tuple[bool, ...]:
        """True for each factor that is an angle without ends."""
        flat = self._where.columns[: self._where.flat]
        return tuple(name not in flat for name in self.names)

    @property
    def flat(self) -> int:
        """Number of the factors that lie in [-1, 1]."""
        return len(self.names) - sum(self.circular)

    @property
    def columns(self) -> tuple[int, ...]:
        """The raw columns that encode the factors: those in [-1, 1], then those of the sphere.

        A point on the sphere encodes all circular factors together, so all its columns are
        included if any factor is circular.
        """
        where = self._where
        flat = [where.columns.index(n) for n in self.names if n in where.columns]
        sphere = range(where.flat, where.count) if any(self.circular) else ()
        return (*flat, *sphere)

    def values(self, raw: ArrayLike) -> NDArray[np.float32]:
        """The factors of raw rows: raw values in [-1, 1], and circular factors in rad.

        Arguments:
            raw: shape (N, columns of the space).

        Returns:
            Shape (N, n), in the order of the names.
        """
        rows, where = np.asarray(raw, np.float32), self._where
        if not any(self.circular):
            return np.ascontiguousarray(rows[:, list(self.columns)])  # sums depend on the order
        angles = where.physical(rows)
        flat = {name: rows[:, i] for i, name in enumerate(where.columns[: where.flat])}
        found = [flat.get(name, angles[:, NAMES.index(name)]) for name in self.names]
        return np.stack(found, axis=1)

    def targets(self, raw: ArrayLike) -> NDArray[np.float32]:
        """What regression predicts: the factors, with cosine and sine of circular ones.

        Arguments:
            raw: shape (N, columns of the space).

        Returns:
            Shape (N, n + number of circular factors), in the order of the names.
        """
        values = self.values(raw)
        parts = [
            np.stack([np.cos(column), np.sin(column)] if circular else [column], axis=1)
            for column, circular in zip(values.T, self.circular, strict=True)
        ]
        return np.hstack(parts, dtype=np.float32)

    def varying(self, raw: ArrayLike) -> FactorSet:
        """The same factors without those that are constant in the given rows.

        Arguments:
            raw: shape (N, columns of the space).

        Raises:
            ValueError: no factor varies.
        """
        spread = np.maximum.reduce(
            [
                np.ptp(part, axis=0) / np.maximum(np.abs(part).max(axis=0), 1.0)
                for part in self._parts(raw)
            ]
        )
        names = tuple(n for n, s in zip(self.names, spread, strict=True) if s > _CONSTANT)
        if not names:
            raise ValueError(
                f"latents: expected a factor that varies among {', '.join(self.names)}, found "
                "none; render a data set in which one varies"
            )
        return FactorSet(self.space, names)

    def _parts(self, raw: ArrayLike) -> list[NDArray[np.float32]]:
        """Values, or cosines and sines, whose ranges tell whether a factor is constant."""
        values = self.values(raw)
        turning = np.array(self.circular)
        return [np.where(turning, np.cos(values), values), np.where(turning, np.sin(values), 0.0)]


def parse_factors(text: str, option: str = "--factors") -> tuple[str, ...]:
    """The names in a text such as ``x,y,hue``, in the order of the table of factors.

    Arguments:
        text: names of factors and of groups (``position``, ``rotation``, ``spotlight``, ``hue``),
            separated by commas.
        option: name of the option in messages.

    Raises:
        ValueError: a name is unknown, or names a factor for the second time.
    """
    found: list[str] = []
    for word in (part.strip() for part in text.split(",")):
        names = members(word)
        if not names:
            raise ValueError(unknown(option, word, (*NAMES, *_GROUPS), "name some of these"))
        again = [name for name in names if name in found]
        if again:
            raise ValueError(f"{option}: expected {again[0]} once, found it twice; keep one")
        found += names
    return ordered(found)


def members(word: str) -> tuple[str, ...]:
    """The factors that a word names: one factor, or those of a group; none if it names neither."""
    if word in NAMES:
        return (word,)
    return tuple(factor.name for factor in FACTORS if word in (factor.group, f"{factor.group}s"))


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """The names in the order of the table of factors."""
    chosen = set(names)
    return tuple(name for name in NAMES if name in chosen)
