"""Positive numbers that users give: the scales of steps, concentrations, exponents."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from threedident.runtime.arrays import is_tensor


def as_positive(name: str, value: Any, least: float = 0.0) -> float:
    """``value`` as a float.

    Arguments:
        name: what messages call the number.
        value: a positive finite number of any real type.
        least: where the numbers begin.

    Raises:
        ValueError: it is none of that.
    """
    found = _as_array(value)
    real = found.ndim == 0 and found.dtype.kind in "iuf"
    if not (real and 0.0 < found < math.inf and found >= least):
        expected = f"finite number of at least {least:g}" if least else "positive finite number"
        shown = f"shape {found.shape}" if found.ndim else repr(value)
        raise ValueError(f"{name}: expected a {expected}, found {shown}; give one")
    return float(found)


def as_scale(value: Any) -> float | tuple[float, ...]:
    """A scale for all columns as a float, or one for each as a tuple of floats.

    Raises:
        ValueError: a scale is no positive finite number, or there is none.
    """
    found = _as_array(value)
    if found.ndim == 0:
        return as_positive("scale", value)
    if found.ndim > 1 or len(found) == 0:
        raise ValueError(
            "scale: expected a positive finite number, or one for each column, found shape "
            f"{found.shape}; give a flat sequence"
        )
    return tuple(as_positive("scale", number) for number in found.tolist())


def _as_array(value: Any) -> NDArray[Any]:
    try:
        return np.asarray(value.detach().cpu() if is_tensor(value) else value)
    except ValueError:
        return np.empty((), object)  # ragged
