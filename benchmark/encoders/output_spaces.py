"""Output spaces: the last layer of an encoder, which fixes where codes can lie.

Codes are float32 where the layers before are of that or less, and float64 where those are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from threedident.runtime.errors import unknown


class Unbounded(nn.Module):
    """All of R^n."""

    def forward(self, codes: Tensor) -> Tensor:
        """Codes as they are, shape (B, n)."""
        return _precise(codes)


class SphereLayer(nn.Module):
    """The sphere of radius ``radius``, learned or fixed."""

    log_radius: Tensor

    def __init__(self, radius: float = 1.0, *, learned: bool = False) -> None:
        super().__init__()
        _register(self, "log_radius", torch.tensor(radius).log(), learned)

    def forward(self, codes: Tensor) -> Tensor:
        """Codes scaled to the sphere, shape (B, n)."""
        return nn.functional.normalize(_precise(codes), dim=-1) * self.log_radius.exp()


class BoxLayer(nn.Module):
    """The box [0, bound] per coordinate, with bounds learned or fixed: bound * sigmoid(codes)."""

    log_bound: Tensor

    def __init__(self, n: int, bound: float = 1.0, *, learned: bool = False) -> None:
        super().__init__()
        _register(self, "log_bound", torch.full((n,), bound).log(), learned)

    def forward(self, codes: Tensor) -> Tensor:
        """Codes squashed into the box, shape (B, n)."""
        return torch.sigmoid(_precise(codes)) * self.log_bound.exp()


def _precise(codes: Tensor) -> Tensor:
    return codes.to(torch.promote_types(codes.dtype, torch.float32))


def _register(module: nn.Module, name: str, value: Tensor, learned: bool) -> None:
    """Keep a scale as its logarithm, so that learning cannot make it negative."""
    if learned:
        module.register_parameter(name, nn.Parameter(value))
    else:
        module.register_buffer(name, value)


class OutputSpace(NamedTuple):
    """An output space by name.

    Arguments:
        build: makes the layer of n codes and an extent, the side of a box or radius of a sphere.
        extent: where none is given. A learned box that begins at about half of where it ends
            lines codes up with its walls soonest: at temperature 1, positives of scale 0.1 in
            [-1, 1] are matched by a side of 14 under ``l2``. None where a space has no extent.
    """

    build: Callable[[int, float], nn.Module]
    extent: float | None


OUTPUT_SPACES = {
    "unbounded": OutputSpace(lambda *_: Unbounded(), None),
    "sphere": OutputSpace(lambda _, radius: SphereLayer(radius), 1.0),
    "learned-sphere": OutputSpace(lambda _, radius: SphereLayer(radius, learned=True), 1.0),
    "box": OutputSpace(lambda n, bound: BoxLayer(n, bound, learned=True), 10.0),
    "fixed-box": OutputSpace(lambda n, bound: BoxLayer(n, bound), 1.0),
}


def find_extent(name: str, extent: float | None) -> float | None:
    """The extent of an output space: the one given, or its own.

    Raises:
        ValueError: there is no such space, or it has no extent and one was given.
    """
    if name not in OUTPUT_SPACES:
        raise ValueError(unknown("output space", name, OUTPUT_SPACES))
    own = OUTPUT_SPACES[name].extent
    if own is None and extent is not None:
        raise ValueError(
            f"--extent: expected with an output space that has one, found it with {name}; leave "
            "it out"
        )
    return extent or own
