"""Latent spaces: columns of a raw row, their marginal distribution, and the physical values.

- :class:`Box`: raw rows uniform on [-1, 1]^10, physical = reach * raw.
- :class:`Periodic`: three positions uniform on [-1, 1]^3, and a point x uniform on the unit
  sphere S^7. The hyperspherical angles of x give the seven physical angles: phi_1 to phi_6 in
  [0, pi] are doubled, and phi_7 in [0, 2 pi] is used unchanged. Here x_1 = cos phi_1,
  x_2 = sin phi_1 cos phi_2, ..., x_7 = sin phi_1 ... sin phi_6 cos phi_7,
  x_8 = sin phi_1 ... sin phi_7.

A fixed factor keeps one raw value in [-1, 1]. The other columns follow the marginal conditioned
on that value. In the periodic space a fixed angle's raw value -1 means 0 and 1 means 2 pi.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from threedident.latents.factors import FACTORS, NAMES
from threedident.runtime.errors import unknown

UNIT_TOLERANCE = 1e-3

_POSITIONS = tuple(factor.name for factor in FACTORS if factor.group == "position")
_ANGLES = tuple(factor.name for factor in FACTORS if factor.group != "position")
_REACH = np.array([factor.reach for factor in FACTORS])
_TURNS = np.array([2.0] * (len(_ANGLES) - 1) + [1.0])  # physical angle / hyperspherical angle
_WIDEST = 8  # bytes of a number; wider ones have bit patterns that are not numbers


class Space(ABC):
    """A latent space.

    Attributes:
        name: short name, as used on the command line and in manifests.
        columns: names of the raw columns.
        flat: number of leading columns that are independent and lie in [-1, 1]. The remaining
            columns, if any, are a point on the unit sphere.
        polar: factors that cannot be fixed at -1 or 1.
        ranges: lowest and highest physical value of each factor, shape (10, 2).
    """

    name: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    flat: ClassVar[int]
    polar: ClassVar[tuple[str, ...]] = ()
    ranges: ClassVar[NDArray[np.float64]]

    @property
    def count(self) -> int:
        """Number of uniform numbers needed for one row."""
        return len(self.columns)

    def sample(self, uniforms: ArrayLike, fixed: Mapping[str, float]) -> NDArray[np.float32]:
        """Raw rows as a function of uniform numbers.

        Arguments:
            uniforms: numbers in the open interval (0, 1), shape (N, count).
            fixed: raw value of each fixed factor. All other factors keep the values that they
                have without it.

        Returns:
            Shape (N, len(columns)).

        Raises:
            ValueError: :meth:`check_fixed` does not accept ``fixed``.
        """
        held = self.check_fixed(fixed, "fixed")
        u = np.asarray(uniforms)
        raw = 2.0 * u - 1.0
        for column, name in enumerate(self.columns[: self.flat]):
            raw[:, column] = held.get(name, raw[:, column])
        if self.flat < self.count:
            raw[:, self.flat :] = _uniform_points(u[:, self.flat :], held)
        return raw.astype(np.float32)

    @abstractmethod
    def physical(self, raw: ArrayLike) -> NDArray[np.float32]:
        """Physical latents, shape (N, 10), lengths in Blender units, angles in rad."""

    def check(self, raw: NDArray[np.generic], name: str) -> NDArray[np.float32]:
        """Checked raw rows as float32.

        Arguments:
            raw: shape (N, len(columns)) with N >= 1, finite, in the space.
            name: name of the array in error messages.

        Raises:
            ValueError: the array does not meet these conditions. The message names the first bad
                entry.
        """
        if raw.ndim != 2 or raw.shape[1] != self.count or len(raw) == 0:
            raise ValueError(
                f"{name}: expected shape (N, {self.count}), the columns of the {self.name} space "
                f"({', '.join(self.columns)}), found {raw.shape}; give one row per image"
            )
        if raw.dtype.kind not in "iuf" or raw.dtype.itemsize > _WIDEST:
            raise ValueError(f"{name}: expected a real dtype, found {raw.dtype}; use float32")
        _check_flat(raw[:, : self.flat], name, self.columns)
        if self.flat < self.count:
            _check_unit(raw[:, self.flat :], name, self.columns[self.flat :])
        return np.ascontiguousarray(raw, dtype=np.float32)

    def check_fixed(self, fixed: Mapping[str, float], name: str) -> dict[str, float]:
        """Checked fixed factors, in the order of the table of factors.

        Arguments:
            fixed: raw value in [-1, 1] of each fixed factor; at least one factor stays free.
            name: name of the mapping in error messages.

        Raises:
            ValueError: the mapping does not meet these conditions.
        """
        for factor, value in fixed.items():
            if factor not in NAMES:
                raise ValueError(unknown(name, factor, NAMES))
            if not -1.0 <= value <= 1.0:
                raise ValueError(
                    f"{name}: expected {factor} in [-1, 1], found {value}; give a raw value"
                )
            if factor in self.polar and abs(value) == 1.0:
                raise ValueError(
                    f"{name}: expected {factor} strictly between -1 and 1, found {value}, where "
                    "the angles after it are undefined; give a value between"
                )
        if len(fixed) == len(NAMES):
            raise ValueError(f"{name}: expected a factor that varies, found none; leave one out")
        # adding 0.0 turns -0.0 into 0.0, so that equal values have equal bytes
        return {factor: float(fixed[factor]) + 0.0 for factor in NAMES if factor in fixed}


class Box(Space):
    """Ten factors, uniform on [-1, 1]^10."""

    name = "box"
    columns = NAMES
    flat = len(NAMES)
    ranges = np.stack([-_REACH, _REACH], axis=1)

    def physical(self, raw: ArrayLike) -> NDArray[np.float32]:
        """See :class:`Space`: reach * raw."""
        return np.asarray(np.asarray(raw, np.float64) * _REACH, np.float32)


class Periodic(Space):
    """Three positions, uniform on [-1, 1]^3, and seven angles, those of a uniform point on S^7."""

    name = "periodic"
    columns = (*_POSITIONS, *(f"sphere_{i + 1}" for i in range(len(_ANGLES) + 1)))
    flat = len(_POSITIONS)
    polar = _ANGLES[:-1]
    ranges = np.concatenate(
        [
            np.stack([_REACH[:3] * [-1.0, -1.0, 0.0], _REACH[:3]], axis=1),
            np.tile([0.0, 2.0 * math.pi], (len(_ANGLES), 1)),
        ]
    )

    def physical(self, raw: ArrayLike) -> NDArray[np.float32]:
        """See :class:`Space`: x and y in [-3, 3], z in [0, 3], angles in [0, 2 pi]."""
        flat, points = np.split(np.asarray(raw, np.float64), [self.flat], axis=1)
        rising = np.array(_POSITIONS) == "z"
        positions = _REACH[: self.flat] * np.where(rising, (flat + 1.0) / 2.0, flat)
        angles = _TURNS * sphere_angles(points)
        return np.hstack([positions, angles], dtype=np.float32)


SPACES: dict[str, Space] = {space.name: space for space in (Box(), Periodic())}


def find_space(name: str) -> Space:
    """The latent space of that name.

    Raises:
        ValueError: there is no such space.
    """
    if name not in SPACES:
        raise ValueError(unknown("space", name, SPACES))
    return SPACES[name]


def parse_fixed(texts: Iterable[str], space: str) -> dict[str, float]:
    """Fixed factors from the values of ``--fix``.

    Arguments:
        texts: each one factor, such as ``object_hue=0``, or several, such as ``x=0,y=0.5``.
        space: name of the latent space.

    Returns:
        Raw value in [-1, 1] of each fixed factor, in the order of the table of factors.

    Raises:
        ValueError: a text is malformed, or the factors cannot be fixed like this.
    """
    fixed: dict[str, float] = {}
    for item in (item for text in texts for item in text.split(",")):
        factor, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            raise ValueError(f"--fix: expected FACTOR=VALUE such as x=0, found {item!r}")
        if factor in fixed:
            raise ValueError(f"--fix: expected {factor} once, found it twice; keep one")
        try:
            fixed[factor] = float(value)
        except ValueError:
            raise ValueError(f"--fix: expected a number in [-1, 1], found {item!r}") from None
    return find_space(space).check_fixed(fixed, "--fix")


def _uniform_points(u: NDArray[np.float64], held: Mapping[str, float]) -> NDArray[np.float64]:
    """Points that are uniform on the sphere given the fixed angles.

    The angles of a uniform point are independent, so a fixed value can replace any one of them.
    """
    from scipy.special import ndtri  # slow to import, and only the sphere needs it

    normals: NDArray[np.float64] = ndtri(u)
    points = normals / tail_norms(normals)[:, :1]
    values = [held.get(name) for name in _ANGLES]
    if values.count(None) == len(values):
        return points
    angles = sphere_angles(points)
    for k, value in enumerate(values):
        if value is not None:
            angles[:, k] = math.pi * (value + 1.0) / _TURNS[k]
    return sphere_points(angles)


def _check_flat(raw: NDArray[np.generic], name: str, columns: tuple[str, ...]) -> None:
    bad = np.argwhere(~(np.abs(raw.astype(np.float64)) <= 1.0))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"{name}: expected finite raw latents in [-1, 1], found {raw[row, column]} in row "
            f"{row}, column {column} ({columns[column]}), and {len(bad) - 1} more; give raw "
            "latents, not physical ones"
        )


def _check_unit(raw: NDArray[np.generic], name: str, columns: tuple[str, ...]) -> None:
    norms = np.hypot.reduce(raw.astype(np.float64), axis=1)
    bad = np.flatnonzero(~(np.abs(norms - 1.0) <= UNIT_TOLERANCE))
    if len(bad):
        raise ValueError(
            f"{name}: expected finite points of norm 1 in columns {columns[0]} to {columns[-1]}, "
            f"found norm {norms[bad[0]]} in row {bad[0]}, and {len(bad) - 1} more; divide them by "
            "their norms"
        )


def sphere_points(angles: ArrayLike) -> NDArray[np.float64]:
    """Points on the unit sphere, shape (N, d), from hyperspherical angles (N, d - 1) in rad."""
    phi = np.asarray(angles, np.float64)
    one = np.ones((len(phi), 1))
    sines = np.hstack([one, np.cumprod(np.sin(phi), axis=1)])
    return np.asarray(sines * np.hstack([np.cos(phi), one]))


def sphere_angles(points: ArrayLike) -> NDArray[np.float64]:
    """Hyperspherical angles in rad, shape (N, d - 1), of points (N, d).

    The last angle lies in [0, 2 pi], all others in [0, pi].
    """
    x = np.asarray(points, np.float64)
    polar = np.arctan2(tail_norms(x)[:, 1:-1], x[:, :-2])
    last = np.arctan2(x[:, -1:], x[:, -2:-1])
    turned = np.where(last < 0.0, last + 2.0 * math.pi, last)
    return np.hstack([polar, turned], dtype=np.float64)


def tail_norms(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Norms of (x_k, ..., x_d), for each k."""
    return np.asarray(np.sqrt(np.cumsum((x**2)[:, ::-1], axis=1)[:, ::-1]))
