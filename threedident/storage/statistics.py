"""Mean and standard deviation of colour channels, from exact sums over all pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

_LEVELS = np.arange(256)

_Sum = Annotated[int, Field(ge=0, lt=2**64)]
Sums = tuple[_Sum, _Sum, _Sum]
Moments = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Channels:
    """Exact sums over pixels of red, green and blue values in 0..255, and of their squares."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    total: Sums = (0, 0, 0)
    square_total: Sums = (0, 0, 0)

    @classmethod
    def of(cls, pixels: NDArray[np.uint8]) -> Channels:
        """The sums over pixels of shape (..., 3)."""
        counts = [np.bincount(c, minlength=256) for c in pixels.reshape(-1, 3).T]
        return cls(total=_triple(counts, _LEVELS), square_total=_triple(counts, _LEVELS**2))

    def __add__(self, other: Channels) -> Channels:
        return Channels(
            total=_sums(self.total, other.total),
            square_total=_sums(self.square_total, other.square_total),
        )

    def moments(self, pixels: int) -> tuple[Moments, Moments]:
        """Mean and standard deviation of each channel, scaled to [0, 1].

        The variance is computed from integers, so it loses no digits by cancellation.

        Arguments:
            pixels: number of pixels that were summed.
        """
        scale = 255 * pixels
        (r, g, b), (rr, gg, bb) = self.total, self.square_total

        def deviation(total: int, square: int) -> float:
            return math.sqrt(max(0, pixels * square - total * total)) / scale

        mean = (r / scale, g / scale, b / scale)
        return mean, (deviation(r, rr), deviation(g, gg), deviation(b, bb))


def _triple(counts: Sequence[NDArray[np.int64]], values: NDArray[np.int64]) -> Sums:
    red, green, blue = (int(count @ values) for count in counts)
    return red, green, blue


def _sums(a: Sums, b: Sums) -> Sums:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]
