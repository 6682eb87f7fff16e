"""Projection of rows of latents to the points whose distances count.

Columns in [-1, 1] are used as they are. If factors are chosen, an angle of the periodic space
becomes a point on the unit circle, so that 0 and 2 pi are equal. Without a choice of factors, all
columns are used as they are, those of the sphere included.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from threedident.latents.factors import NAMES
from threedident.latents.spaces import SPACES, Space
from threedident.runtime.errors import unknown

Array = NDArray[np.float64]


class Projection:
    """Map from rows of latents to points.

    Arguments:
        columns: number of columns of the rows.
        factors: names of the factors that count; None for all columns as they are.

    Raises:
        ValueError: a name is unknown or appears twice, there are no names, or no latent space
            has this number of columns.
    """

    def __init__(self, columns: int, factors: Sequence[str] | None) -> None:
        self.columns, self.factors = columns, None if factors is None else tuple(factors)
        if self.factors is not None:
            self._space = _space_of(columns)
            _check_names(self.factors)

    def points(self, rows: Array, name: str) -> NDArray[np.float32]:
        """Points of the given rows.

        Arguments:
            rows: shape (N, columns), or (N, number of factors) if all chosen factors are columns
                in [-1, 1].
            name: name of the rows in error messages.

        Raises:
            ValueError: the rows have another number of columns.
        """
        chosen = 0 if self.factors is None else len(self.factors)
        if rows.shape[1] == self.columns:
            rows = self._project(rows)
        elif not chosen or rows.shape[1] != chosen or not self._is_flat():
            also = f", or the {chosen} of the factors" if chosen and self._is_flat() else ""
            raise ValueError(
                f"{name}: expected {self.columns} columns as the latents have{also}, found "
                f"{rows.shape[1]}; pass rows of the same space"
            )
        return np.ascontiguousarray(rows, np.float32)

    def _is_flat(self) -> bool:
        flat = self._space.columns[: self._space.flat]
        return all(name in flat for name in self.factors or ())

    def _project(self, rows: Array) -> Array:
        if self.factors is None:
            return rows
        space = self._space
        flat = {name: rows[:, [place]] for place, name in enumerate(space.columns[: space.flat])}
        if self._is_flat():
            return np.hstack([flat[name] for name in self.factors])
        physical = np.asarray(space.physical(rows), np.float64)
        angles = {
            name: np.stack([np.cos(angle), np.sin(angle)], axis=1)
            for name, angle in zip(NAMES, physical.T, strict=True)
        }
        return np.hstack([flat.get(name, angles[name]) for name in self.factors])


def _space_of(columns: int) -> Space:
    for space in SPACES.values():
        if space.count == columns:
            return space
    raise ValueError(
        f"factors: expected latents of {' or '.join(str(s.count) for s in SPACES.values())} "
        f"columns to choose factors from, found {columns}; leave factors out"
    )


def _check_names(factors: tuple[str, ...]) -> None:
    for name in factors:
        if name not in NAMES:
            raise ValueError(unknown("factors", name, NAMES))
    if not factors or len(set(factors)) < len(factors):
        raise ValueError(
            f"factors: expected different names, found {', '.join(factors) or 'none'}; give each "
            "once"
        )
