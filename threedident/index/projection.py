"""From rows of latents to the points whose distances count, for all factors or for some.

Columns in [-1, 1] count as they are. An angle of the periodic space, taken by itself, counts as a
point on the unit circle, so that 0 and 2 pi are the same; all of them together are the sphere's
own columns.
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
    """Maps rows to points.

    Arguments:
        columns: of the rows.
        factors: names of the factors that count; None for all columns as they are.

    Raises:
        ValueError: the names are not those of different factors, or rows with so many columns
            have no factors.
    """

    def __init__(self, columns: int, factors: Sequence[str] | None) -> None:
        self.columns, self.factors = columns, None if factors is None else tuple(factors)
        if self.factors is not None:
            self._space = _space_of(columns)
            _check_names(self.factors)

    def points(self, rows: Array, name: str) -> NDArray[np.float32]:
        """Points of rows (N, columns), or of the chosen columns alone where they are flat.

        Arguments:
            rows: shape (N, columns) or (N, number of factors).
            name: what messages call the rows.

        Raises:
            ValueError: the rows have other columns.
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
