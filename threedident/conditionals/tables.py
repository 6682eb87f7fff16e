"""Smooth functions of positive numbers as tables of polynomials, for arrays and tensors.

A table answers in a few nanoseconds a number, on a GPU as well, where the function itself is an
iteration on the CPU. The interval is cut into cells whose width is a fixed share of their distance
from 0, since quantile functions bend there as powers do. In each cell the function is a polynomial
through Chebyshev points. A table is used only if it agrees with its function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from threedident.runtime.arrays import as_float64, as_float64_like, is_tensor, namespace

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_CELLS = 64  # in each octave
_TERMS = 8
_CHECKED = np.array([0.0, 0.3, 0.7, 1.0 - 2.0**-40])  # places in every cell


def tabulated(function: Function, low: float, high: float) -> Callable[[Any], Any]:
    """A function of arrays and tensors: as a table, or itself where no table agrees with it.

    Arguments:
        function: see :class:`Table`.
        low: see :class:`Table`.
        high: see :class:`Table`.
    """
    try:
        return Table(function, low, high)
    except ArithmeticError:
        return lambda x: as_float64_like(function(np.clip(as_float64(x), low, high)), x)


class Table:
    """A table of a positive function on [low, high].

    Arguments:
        function: function of an array of positive numbers, smooth in each octave.
        low: power of two, below which arguments are raised to it.
        high: power of two, above which arguments are lowered to it.
        tolerance: relative difference from the function that is accepted.
        checked: least argument at which the difference is measured; by default ``low``.

    Raises:
        ArithmeticError: the table does not agree with the function.
    """

    def __init__(
        self,
        function: Function,
        low: float,
        high: float,
        tolerance: float = 1e-12,
        checked: float | None = None,
    ) -> None:
        self._low, self._high = low, math.nextafter(high, 0.0)
        self._first = math.frexp(low)[1]
        octaves = math.frexp(high)[1] - self._first
        starts = np.ldexp(
            1.0 + np.arange(_CELLS) / _CELLS, np.arange(octaves)[:, None] + self._first - 1
        ).ravel()
        widths = np.ldexp(1.0 / _CELLS, np.repeat(np.arange(octaves), _CELLS) + self._first - 1)
        nodes = np.cos(np.pi * (np.arange(_TERMS) + 0.5) / _TERMS)  # in [-1, 1]
        values = function(starts[:, None] + widths[:, None] * (nodes + 1.0) / 2.0)
        powers = np.vander(nodes, _TERMS, increasing=True)
        self._terms = np.ascontiguousarray(np.linalg.solve(powers, values.T))
        self._there: dict[Any, Any] = {}  # the terms as tensors, by device
        x = (starts[:, None] + widths[:, None] * _CHECKED).ravel()
        self._check(function, x[x >= (low if checked is None else checked)], tolerance)

    def __call__(self, x: Any) -> Any:
        """The function at ``x``, shape (...), float64, an array or a tensor."""
        xp = namespace(x)
        fraction, octave = xp.frexp(xp.clip(x, self._low, self._high))
        place = (2.0 * _CELLS) * fraction - _CELLS
        cell = place.astype(np.int64) if xp is np else place.long()
        offset = 2.0 * (place - cell) - 1.0
        cell = xp.clip(cell + (octave - self._first) * _CELLS, 0, self._terms.shape[1] - 1)
        *terms, result = (xp.take(term, cell) for term in self._terms_like(x))
        for term in reversed(terms):
            result = result * offset + term
        return result

    def _terms_like(self, x: Any) -> Any:
        if not is_tensor(x):
            return self._terms
        if x.device not in self._there:
            self._there[x.device] = as_float64_like(self._terms, x)
        return self._there[x.device]

    def _check(self, function: Function, x: NDArray[np.float64], tolerance: float) -> None:
        with np.errstate(all="ignore"):
            gaps = abs(self(x) / function(x) - 1.0)
        if not (gaps <= tolerance).all():
            raise ArithmeticError(f"expected a table to {tolerance}, found gaps of {gaps.max()}")
