"""The stationary step of a Gaussian process in discrete time.

    z~ = rho z + scale e,    rho^2 + scale^2 = 1,    e standard normal

If z is standard normal, then so is z~, and their correlation is rho.

References:
    On the theory of the Brownian motion, Uhlenbeck, Ornstein, 1930,
    https://doi.org/10.1103/PhysRev.36.823
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from threedident.conditionals.conditional import Conditional, as_positive
from threedident.conditionals.special import ndtri


@dataclass(frozen=True, repr=False)
class Autoregressive(Conditional):
    """Steps that keep the standard normal law in R^n.

    Arguments:
        scale: standard deviation of a step, in (0, 1). The correlation is sqrt(1 - scale^2).

    Raises:
        ValueError: the scale is not in (0, 1).
    """

    scale: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", as_positive("scale", self.scale))
        if self.scale >= 1.0:
            raise ValueError(
                f"scale: expected a number below 1 for {type(self).__name__}, found {self.scale}; "
                "take sqrt(1 - rho^2) of the correlation rho"
            )

    @property
    def correlation(self) -> float:
        """The correlation rho of a coordinate of z and z~."""
        return math.sqrt((1.0 - self.scale) * (1.0 + self.scale))

    def count(self, dimension: int) -> int:
        """See :class:`Conditional`."""
        return dimension

    def draw(self, anchors: Any, uniforms: Any) -> Any:
        """See :class:`Conditional`."""
        return self.correlation * anchors + self.scale * ndtri(uniforms)
