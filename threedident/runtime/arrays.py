"""Arrays from user input: lists, numpy arrays, torch tensors of any dtype and device.

Formulas are written once for both libraries. They use functions that have the same name in numpy
and torch, and :func:`namespace` returns the library to call. This module never imports torch: a
caller who passes a tensor has already imported it.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray


def as_float64(values: Any) -> NDArray[np.float64]:
    """``values`` as a float64 array; tensors are first detached and copied to the CPU.

    Raises:
        ValueError: the values are complex, or are a data set instead of its latents.
    """
    refuse_data_set(values)
    _refuse_complex(values)
    if is_tensor(values):
        values = values.detach().cpu().double().numpy()
    with np.errstate(invalid="ignore"):  # NaN of any kind stays NaN
        return np.asarray(values, dtype=np.float64)


def as_host(values: Any) -> NDArray[Any]:
    """``values`` as an array of their own dtype; tensors are copied to the CPU."""
    return np.asarray(values.detach().cpu() if is_tensor(values) else values)


def as_float64_like(values: Any, like: Any) -> Any:
    """``values`` as float64, as an array or a tensor as ``like`` is, on its device."""
    if not is_tensor(like):
        return as_float64(values)
    torch = namespace(like)
    if is_tensor(values):
        _refuse_complex(values)
        return values.detach().to(like.device, torch.float64)
    here = torch.from_numpy(np.array(as_float64(values)))
    return here.to(like.device, non_blocking=True)


def refuse_data_set(values: Any) -> None:
    """Refuse a data set that was passed instead of its latents, before its images are read.

    Raises:
        ValueError: ``values`` is a data set.
    """
    if hasattr(values, "latents"):
        raise ValueError(
            f"array: expected numbers, found a {type(values).__name__}; give its .latents"
        )


def is_tensor(values: Any) -> bool:
    """True if ``values`` is a torch tensor."""
    return _is_of_torch(values, "Tensor")


def is_torch_generator(rng: Any) -> bool:
    """True if ``rng`` is a :class:`torch.Generator`."""
    return _is_of_torch(rng, "Generator")


def fails(condition: Any) -> bool:
    """True if a condition fails somewhere. Of a tensor on a GPU it is False, and nothing is read.

    Checks of numbers that are already on a GPU would make the CPU wait for it in every batch.

    Arguments:
        condition: array or tensor of bool.
    """
    return not is_away(condition) and not condition.all()


def is_away(values: Any) -> bool:
    """True if ``values`` is a tensor on another device than the CPU."""
    return is_tensor(values) and values.device.type != "cpu"


def namespace(values: Any) -> Any:
    """The library whose functions accept ``values``: torch for tensors, numpy otherwise."""
    return sys.modules["torch"] if is_tensor(values) else np


def _is_of_torch(value: Any, kind: str) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, getattr(torch, kind))


def _refuse_complex(values: Any) -> None:
    if values.is_complex() if is_tensor(values) else np.iscomplexobj(values):
        raise ValueError("array: expected real numbers, found complex ones; pass the real part")
