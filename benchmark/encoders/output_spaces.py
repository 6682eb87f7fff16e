"""Output spaces: the last layer of an encoder, which restricts the codes to a space.

The extent of a learned space is the exponential of a learned number, or the learned number itself
(``linear``), as published. The exponential keeps it positive. A linear extent may pass 0. A box of
side s < 0 then is [s, 0], and a sphere of radius r < 0 is that of radius -r, with codes on the
other side. Codes are float64 if the previous layer returns float64, else float32.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
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
    """The sphere of radius ``radius``, fixed or learned; ``linear`` holds for a learned one."""

    log_radius: Tensor
    radius: Tensor

    def __init__(
        self, radius: float = 1.0, *, learned: bool = False, linear: bool = False
    ) -> None:
        super().__init__()
        self._linear = linear
        _register(self, "radius", torch.tensor(radius), learned, linear)

    def forward(self, codes: Tensor) -> Tensor:
        """Codes scaled to the sphere, shape (B, n)."""
        radius = self.radius if self._linear else self.log_radius.exp()
        return nn.functional.normalize(_precise(codes), dim=-1) * radius


class BoxLayer(nn.Module):
    """The box [0, bound] for each coordinate: bound * sigmoid(codes).

    The bound is fixed or learned; ``linear`` holds for a learned one.
    """

    log_bound: Tensor
    bound: Tensor

    def __init__(
        self, n: int, bound: float = 1.0, *, learned: bool = False, linear: bool = False
    ) -> None:
        super().__init__()
        self._linear = linear
        _register(self, "bound", torch.full((n,), bound), learned, linear)

    def forward(self, codes: Tensor) -> Tensor:
        """Codes mapped into the box, shape (B, n)."""
        bound = self.bound if self._linear else self.log_bound.exp()
        return torch.sigmoid(_precise(codes)) * bound


def _precise(codes: Tensor) -> Tensor:
    return codes.to(torch.promote_types(codes.dtype, torch.float32))


def _register(module: nn.Module, name: str, extent: Tensor, learned: bool, linear: bool) -> None:
    """Register an extent, or by default its logarithm, with which it stays positive."""
    name, value = (name, extent) if linear else (f"log_{name}", extent.log())
    if learned:
        module.register_parameter(name, nn.Parameter(value))
    else:
        module.register_buffer(name, value)


class OutputSpace(NamedTuple):
    """An output space.

    Arguments:
        build: makes the layer, given the number of codes n, the extent, which is the side of a
            box or the radius of a sphere, and True if a learned extent is linear.
        extent: default extent; None if the space has no extent. For a learned box the default is
            10. Codes align with the sides of a learned box soonest if its side begins at about
            half of its final value: at temperature 1, a side of 14 matches positives of scale
            0.1 in [-1, 1] with the loss ``l2``.
    """

    build: Callable[[int, float, bool], nn.Module]
    extent: float | None
    linear_extent: float | None = None  # default if it is learned and linear, as published


OUTPUT_SPACES = {
    "unbounded": OutputSpace(lambda *_: Unbounded(), None),
    "sphere": OutputSpace(lambda _, radius, __: SphereLayer(radius), 1.0),
    "learned-sphere": OutputSpace(
        lambda _, radius, linear: SphereLayer(radius, learned=True, linear=linear), 1.0, 1.0
    ),
    "box": OutputSpace(
        lambda n, bound, linear: BoxLayer(n, bound, learned=True, linear=linear), 10.0, 1.0
    ),
    "fixed-box": OutputSpace(lambda n, bound, _: BoxLayer(n, bound), 1.0),
}


SUMS = ("box+learned-sphere", "box+sphere")  # the last codes encode a point on a sphere


class SumLayer(nn.Module):
    """An output space for the first codes, and another one for the last.

    Arguments:
        first: space of the first codes.
        last: space of the last codes.
        sphere: number of the last codes.
    """

    def __init__(self, first: nn.Module, last: nn.Module, sphere: int) -> None:
        super().__init__()
        self.first, self.last, self._sphere = first, last, sphere

    def forward(self, codes: Tensor) -> Tensor:
        """Codes in both spaces, shape (B, n)."""
        parts = codes[:, : -self._sphere], codes[:, -self._sphere :]
        return torch.cat([self.first(parts[0]), self.last(parts[1])], dim=1)


def build_space(name: str, codes: int, extent: float, linear: bool, sphere: int = 0) -> nn.Module:
    """The layer of an output space.

    Arguments:
        name: one of :data:`OUTPUT_SPACES` or of :data:`SUMS`.
        codes: number of codes n.
        extent: side of a box or radius of a sphere; that of the box in a sum.
        linear: True if a learned extent is linear.
        sphere: number of the last codes, which encode a point on a sphere.

    Raises:
        ValueError: the codes do not have the two kinds of a sum.
    """
    if name not in SUMS:
        return OUTPUT_SPACES[name].build(codes, extent, linear)
    if not 0 < sphere < codes:
        raise ValueError(
            f"--output-space: expected one for codes of one kind, such as box or sphere, found "
            f"{name} for {codes} codes, {sphere} of them on a sphere; take one of these"
        )
    flat, _, angular = name.partition("+")
    first = OUTPUT_SPACES[flat].build(codes - sphere, extent, linear)
    last = OUTPUT_SPACES[angular].build(sphere, 1.0, linear)
    return SumLayer(first, last, sphere)


def find_extent(name: str, extent: float | None, linear: bool = False) -> float | None:
    """The extent of an output space: the given one, or its default.

    Arguments:
        name: name of the space.
        extent: the given extent, or None.
        linear: True if a learned extent is linear.

    Raises:
        ValueError: the space is unknown, or an extent is given for a space without one.
    """
    if name not in OUTPUT_SPACES and name not in SUMS:
        raise ValueError(unknown("output space", name, (*OUTPUT_SPACES, *SUMS)))
    name = name.partition("+")[0]
    own = OUTPUT_SPACES[name].extent
    if own is None and extent is not None:
        raise ValueError(
            f"--extent: expected with an output space that has one, found it with {name}; leave "
            "it out"
        )
    return extent or (OUTPUT_SPACES[name].linear_extent if linear else None) or own
