"""Encoders of one's own, ``package.module:Name``, and what they do wrong, in one line.

Such a network may fail, or give other codes, in training alone or on some batch alone, so every
call of it is checked.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call

from benchmark.ranks import lost_another
from threedident.pairs.loader import is_death
from threedident.runtime.packages import PACKAGES


def is_custom(name: str) -> bool:
    """Whether an encoder is one's own, named by its import path."""
    return ":" in name


def imported(path: str) -> Callable[[int], object]:
    """What an import path names; modules beside the working directory are found, too.

    Raises:
        ValueError: it names nothing that could make a network.
    """
    module, _, attribute = path.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        package = module.partition(".")[0]
        taken = f"rename the file, since {package} is a package of threedident"
        advice = taken if package in PACKAGES else "give package.module:Name"
        raise ValueError(
            f"encoder: expected {path} to be importable from {here}, found "
            f"{type(error).__name__}: {error}; {advice}"
        ) from None
    finally:
        sys.path.remove(here)
    if not callable(found):
        raise ValueError(
            f"encoder: expected {path} to make a module, found {type(found).__name__}; give a "
            "class or a function of the number of codes"
        )
    return found  # type: ignore[no-any-return]


def made(path: str, make: Callable[[int], object], codes: int) -> nn.Module:
    """The network that an imported object makes.

    Raises:
        ValueError: it raises, or makes something else.
    """
    try:
        network = make(codes)
    except Exception as error:
        raise ValueError(
            f"encoder: expected {path}({codes}) to make a module, found {type(error).__name__}: "
            f"{error}; it is called with the number of codes alone"
        ) from None
    if not isinstance(network, nn.Module):
        raise ValueError(
            f"encoder: expected {path}({codes}) to make a torch.nn.Module, found "
            f"{type(network).__name__}; return one"
        )
    return network


class Checked(nn.Module):
    """A network whose errors, and whose codes where they are none, are named."""

    def __init__(self, name: str, network: nn.Module, codes: int) -> None:
        super().__init__()
        self.network = network
        self.name, self._codes = name, codes

    def forward(self, observations: Tensor) -> Tensor:
        """The network's codes, shape (B, codes).

        Raises:
            ValueError: the network raises, or gives none of that shape.
        """
        b, *shape = observations.shape
        try:
            found = self.network(observations)
        except Exception as error:
            if is_death(error) or lost_another(error):  # which torch notices anywhere
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
    """Encode in training mode, and refuse codes that do not depend on what is trained.

    Neither the network's buffers nor torch's global generator change.

    Raises:
        ValueError: they do not.
    """
    buffers = {name: buffer.clone() for name, buffer in checked.named_buffers()}
    with torch.random.fork_rng(devices=[]):
        codes: Tensor = functional_call(checked, buffers, (observations,))
    if not codes.requires_grad:
        raise ValueError(
            f"encoder: expected codes of {checked.name} that depend on its parameters, found "
            "codes without gradient; do not detach them"
        )
