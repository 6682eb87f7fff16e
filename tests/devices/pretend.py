"""A device that is not the CPU, for machines without a GPU: ``pretend``.

Its tensors hold their numbers on the CPU, and every operation runs there. As on a GPU, tensors of
``pretend`` and of the CPU do not mix, only ``.cpu()`` makes them arrays, and backward passes run
through torch's own engine. What makes the CPU wait for a GPU is counted: reading a number, copying
from or to the CPU, and results whose shape depends on values. Indices on the CPU are refused, too,
which a GPU accepts and waits for. Streams, kernels and their rounding are not seen, nor is code
that asks for ``cuda`` by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils import _pytree as pytree
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

aten = torch.ops.aten
_COPIES = (aten._to_copy.default, aten.copy_.default)
_INDEXED = (aten.index.Tensor, aten.index_put_.default, aten.index_put.default)
_READS = {
    aten._local_scalar_dense.default: "reads a number",
    aten.nonzero.default: "has a shape that depends on values",
    aten.masked_select.default: "has a shape that depends on values",
    aten._unique2.default: "has a shape that depends on values",
    aten.equal.default: "reads a number",
}


class MixedError(RuntimeError):
    """Tensors of two devices met in one operation."""


class Pretended(torch.Tensor):
    """A tensor on the device ``pretend``, whose numbers are on the CPU."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Pretended:
        made: Pretended = torch.Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device="pretend:0",
        )
        made.inner = inner
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self) -> str:  # type: ignore[override]
        return f"Pretended({self.inner!r})"


class Waits(TorchDispatchMode):
    """While it is active, ``pretend`` exists. Counts by kind what a GPU's host would wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        mine = any(isinstance(leaf, Pretended) for leaf in pytree.tree_leaves((args, kwargs)))
        if mine and func in _READS:
            self.counts[_READS[func]] += 1
        if mine and func in _COPIES and not _lands(func, args, kwargs):
            self.counts["copies to the CPU"] += 1
        arrives = func is aten._to_copy.default and not mine and _lands(func, args, kwargs)
        if arrives and not kwargs.get("non_blocking", False):
            self.counts["copies from the CPU"] += 1
        if (
            mine
            and func in _INDEXED
            and any(i is not None and i.dtype == torch.bool for i in args[1])
        ):
            self.counts["has a shape that depends on values"] += 1
        return _run(func, args, kwargs)


def _lands(func: Any, args: Any, kwargs: Any) -> bool:
    """True if a copy ends on the device."""
    if func is aten.copy_.default:
        return isinstance(args[0], Pretended)
    device = kwargs.get("device")
    return isinstance(args[0], Pretended) if device is None else _is_pretend(device)


def _is_pretend(device: Any) -> bool:
    return device is not None and torch.device(device).type == "pretend"


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    tensors = [
        leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)
    ]
    mine = [leaf for leaf in tensors if isinstance(leaf, Pretended)]
    others = [leaf for leaf in tensors if not isinstance(leaf, Pretended) and leaf.dim()]
    device, copies = kwargs.get("device"), func in _COPIES
    if mine and others and not copies:
        raise MixedError(
            f"{func}: expected tensors of one device, found {', '.join(map(_shape, tensors))}"
        )
    inside = dict(kwargs)
    if _is_pretend(device):
        inside["device"] = torch.device("cpu")
    given, named = pytree.tree_map_only(Pretended, lambda t: t.inner, (args, inside))
    out = func(*given, **named)
    there = _is_pretend(device) or (bool(mine) and device is None)
    if func is aten.copy_.default:
        return args[0]
    if not there:
        return out
    wrapped = pytree.tree_map_only(torch.Tensor, Pretended, out)
    return return_and_correct_aliasing(func, args, kwargs, wrapped) if mine else wrapped


def _shape(tensor: torch.Tensor) -> str:
    return f"{tuple(tensor.shape)} on {tensor.device.type}"


class _Backend(backend_registration._DummyBackendModule):
    """The functions that torch calls on a device. The device exists only inside the context."""

    active = False

    def is_available(self) -> bool:
        return self.active

    def device_count(self) -> int:
        return int(self.active)

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]

    def get_rng_state(self, *_: Any) -> torch.Tensor:
        return torch.empty(0, dtype=torch.uint8)

    def set_rng_state(self, *_: Any) -> None:
        """Its numbers come from the generator of the CPU."""


class _Hook(backend_registration._DummyPrivateUse1Hook):
    def is_available(self) -> bool:
        return _BACKEND.active


_BACKEND = _Backend()


@contextmanager
def pretending() -> Iterator[Waits]:
    """A context in which the device ``pretend`` exists."""
    if not hasattr(torch, "pretend"):
        backend_registration._setup_privateuseone_for_python_backend("pretend", _BACKEND, _Hook())
    _BACKEND.active = True
    try:
        with Waits() as waits:
            yield waits
    finally:
        _BACKEND.active = False
