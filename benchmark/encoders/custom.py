"""Custom encoders, which users give as plugins, and one-line messages about their errors.

A custom network may fail or return wrong codes only in training, or only for some batches. So
every call of it is checked.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from benchmark.ranks import lost_another
from threedident.pairs.loader import is_death


def made(path: str, make: Callable[[int], object], codes: int) -> nn.Module:
    """The network made by an imported class or function.

    Arguments:
        path: import path, for messages.
        make: the class or function; it is called with the number of codes.
        codes: number of codes.

    Raises:
        ValueError: the call fails, or returns something else.
    """
    try:
        network = make(codes)
    except Exception as error:
        raise ValueError(
            f"encoder: expected {path}({codes}) to make a module, found {type(error).__name__}: "
            f"{error}; its only argument is the number of codes"
        ) from None
    if not isinstance(network, nn.Module):
        raise ValueError(
            f"encoder: expected {path}({codes}) to make a torch.nn.Module, found "
            f"{type(network).__name__}; return one"
        )
    return network


class Checked(nn.Module):
    """A network with checks: its errors and invalid codes raise ValueError with its name."""

    def __init__(self, name: str, network: nn.Module, codes: int) -> None:
        super().__init__()
        self.network = network
        self.name, self._codes = name, codes

    def forward(self, observations: Tensor) -> Tensor:
        """The network's codes, shape (B, codes).

        Raises:
            ValueError: the network fails, or returns no floating-point codes of this shape.
        """
        b, *shape = observations.shape
        try:
            found = self.network(observations)
        except Exception as error:
            if is_death(error) or lost_another(error):  # torch may raise these in any call
                raise
            raise ValueError(
                f"encoder: expected {self.name} to take observations of shape (B, "
                f"{', '.join(map(str, shape))}), found {type(error).__name__}: {error} for B = "
                f"{b}; change the network or the observations"
            ) from None
        if not isinstance(found, Tensor) or tuple(found.shape) != (b, self._codes):
            what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(
                f"encoder: expected codes of shape (B, {self._codes}) from {self.name}, found "
                f"{what} for B = {b}; end it with {self._codes} outputs"
            )
        if not found.is_floating_point():
            raise ValueError(
                f"encoder: expected codes of a floating type from {self.name}, found "
                f"{found.dtype}; convert them"
            )
        return found


def require_gradient(checked: Checked, observations: Tensor) -> None:
    """Check that codes in training mode depend on the trained parameters.

    The buffers of the network and the global generator of torch stay unchanged.

    Raises:
        ValueError: the codes have no gradient.
    """
    buffers = {name: buffer.clone() for name, buffer in checked.named_buffers()}
    with torch.random.fork_rng(devices=[]):
        codes: Tensor = functional_call(checked, buffers, (observations,))
    if not codes.requires_grad:
        raise ValueError(
            f"encoder: expected codes of {checked.name} that depend on its parameters, found "
            "codes without gradient; do not detach them"
        )
