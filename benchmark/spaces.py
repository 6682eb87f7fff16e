"""Output spaces: the last layer of an encoder, which fixes where codes can lie."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Unbounded(nn.Module):
    """All of R^n."""

    def forward(self, codes: Tensor) -> Tensor:
        """Codes as they are, shape (B, n)."""
        return codes


class Sphere(nn.Module):
    """The sphere of radius ``radius``, learned or fixed."""

    log_radius: Tensor

    def __init__(self, radius: float = 1.0, *, learned: bool = False) -> None:
        super().__init__()
        _register(self, "log_radius", torch.tensor(radius).log(), learned)

    def forward(self, codes: Tensor) -> Tensor:
        """Codes scaled to the sphere, shape (B, n)."""
        return nn.functional.normalize(codes, dim=-1) * self.log_radius.exp()


class Box(nn.Module):
    """The box [0, bound] per coordinate, with bounds learned or fixed: bound * sigmoid(codes)."""

    log_bound: Tensor

    def __init__(self, n: int, bound: float = 1.0, *, learned: bool = False) -> None:
        super().__init__()
        _register(self, "log_bound", torch.full((n,), bound).log(), learned)

    def forward(self, codes: Tensor) -> Tensor:
        """Codes squashed into the box, shape (B, n)."""
        return torch.sigmoid(codes) * self.log_bound.exp()


def _register(module: nn.Module, name: str, value: Tensor, learned: bool) -> None:
    """Keep a scale as its logarithm, so that learning cannot make it negative."""
    if learned:
        module.register_parameter(name, nn.Parameter(value))
    else:
        module.register_buffer(name, value)


# A learned box starts wide: at temperature 1 and positives of scale 0.1 in [-1, 1], the l2 loss
# is matched by a side of 14, and a box that starts at 1 spends its first steps growing.
_FIRST_BOUND = 10.0

OUTPUT_SPACES: dict[str, Callable[[int], nn.Module]] = {
    "unbounded": lambda _: Unbounded(),
    "sphere": lambda _: Sphere(),
    "learned-sphere": lambda _: Sphere(learned=True),
    "box": lambda n: Box(n, _FIRST_BOUND, learned=True),
    "fixed-box": lambda n: Box(n),
}
