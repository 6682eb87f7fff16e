"""Output spaces: the last layer of an encoder, which restricts the codes to a space.

Codes are float64 if the previous layer returns float64, else float32.
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
        """The codes, shape (B, n), unrestricted."""
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
    """The box [0, bound] for each coordinate, learned or fixed: bound * sigmoid(codes)."""

    log_bound: Tensor

    def __init__(self, n: int, bound: float = 1.0, *, learned: bool = False) -> None:
        super().__init__()
        _register(self, "log_bound", torch.full((n,), bound).log(), learned)

    def forward(self, codes: Tensor) -> Tensor:
        """Codes mapped into the box, shape (B, n)."""
        return torch.sigmoid(_precise(codes)) * self.log_bound.exp()


def _precise(codes: Tensor) -> Tensor:
    return codes.to(torch.promote_types(codes.dtype, torch.float32))


def _register(module: nn.Module, name: str, value: Tensor, learned: bool) -> None:
    """Register the logarithm of a scale, so that training cannot make the scale negative."""
    if learned:
        module.register_parameter(name, nn.Parameter(value))
    else:
        module.register_buffer(name, value)


class OutputSpace(NamedTuple):
    """An output space.

    Arguments:
        build: makes the layer, given the number of codes n and the extent, which is the side of
            a box or the radius of a sphere.
        extent: default extent; None if the space has no extent. For a learned box the default is
            10. Codes align with the sides of a learned box soonest if its side begins at about
            half of its final value: at temperature 1, a side of 14 matches positives of scale
            0.1 in [-1, 1] with the loss ``l2``.
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
    """The extent of an output space: the given one, or its default.

    Raises:
        ValueError: the space is unknown, or an extent is given for a space without one.
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
