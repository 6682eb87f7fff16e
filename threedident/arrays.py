"""Arrays from whatever users hold: lists, numpy arrays, torch tensors of any kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_float64(values: Any) -> NDArray[np.float64]:
    """``values`` as float64; tensors are detached and brought to the CPU first."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    if np.iscomplexobj(values):
        raise ValueError("array: expected real numbers, found complex ones; pass the real part")
    return np.asarray(values, dtype=np.float64)
