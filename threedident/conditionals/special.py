"""Special functions for numpy arrays and torch tensors.

Arrays are computed by scipy, tensors by torch, both in float64. The results agree to a few units
in the last place. The exceptions are noted in the code.
"""

from __future__ import annotations

import math
from typing import Any

import scipy.special

from threedident.runtime.arrays import is_tensor, namespace


def erf(x: Any) -> Any:
    """The error function."""
    return _library(x).erf(x)


def erfinv(y: Any) -> Any:
    """Inverse of :func:`erf`."""
    if not is_tensor(y):
        return scipy.special.erfinv(y)
    # torch.erfinv loses up to nine digits near -1 and 1, and ndtri loses as many near 0
    tail = ndtri((1.0 - abs(y)) / 2.0) / -math.sqrt(2.0)
    torch = namespace(y)
    return torch.where(abs(y) < 0.5, torch.special.erfinv(y), torch.copysign(tail, y))


def ndtri(p: Any) -> Any:
    """Inverse of the standard normal distribution function."""
    return _library(p).ndtri(p)


def _library(x: Any) -> Any:
    return namespace(x).special if is_tensor(x) else scipy.special
