"""Arrays from whatever users hold: lists, numpy arrays, torch tensors of any kind.

Formulas are written once for both libraries, with the functions that numpy and torch name alike;
:func:`namespace` tells which of the two to call. Torch is never imported here: whoever passes a
tensor has done so.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_float64(values: Any) -> NDArray[np.float64]:
    """``values`` as float64; tensors are detached and brought to the CPU first.

    Raises:
        ValueError: they are complex, or a data set in place of its latents.
    """
    refuse_data_set(values)
    _refuse_complex(values)
    if is_tensor(values):
        values = values.detach().cpu().double().numpy()
    with np.errstate(invalid="ignore"):  # NaN of any kind stays NaN
        return np.asarray(values, dtype=np.float64)


def as_float64_like(values: Any, like: Any) -> Any:
    """``values`` as float64 in the library, and on the device, of ``like``."""
    if not is_tensor(like):
        return as_float64(values)
    torch = namespace(like)
    if is_tensor(values):
        _refuse_complex(values)
        return values.detach().to(like.device, torch.float64)
    return torch.tensor(as_float64(values), device=like.device)


def refuse_data_set(values: Any) -> None:
    """Refuse a data set in place of its latents, before all its images are read.

    Raises:
        ValueError: it is one.
    """
    if hasattr(values, "latents"):
        raise ValueError(
            f"array: expected numbers, found a {type(values).__name__}; give its .latents"
        )


def is_tensor(values: Any) -> bool:
    """Whether ``values`` is a torch tensor."""
    return _is_of_torch(values, "Tensor")


def is_torch_generator(rng: Any) -> bool:
    """Whether ``rng`` is a :class:`torch.Generator`."""
    return _is_of_torch(rng, "Generator")


def namespace(values: Any) -> Any:
    """The library whose functions take ``values``: torch for tensors, numpy for the rest."""
    return sys.modules["torch"] if is_tensor(values) else np


def _is_of_torch(value: Any, kind: str) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, getattr(torch, kind))


def _refuse_complex(values: Any) -> None:
    if values.is_complex() if is_tensor(values) else np.iscomplexobj(values):
        raise ValueError("array: expected real numbers, found complex ones; pass the real part")
