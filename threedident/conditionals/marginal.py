"""Marginals p(z) by name, and positives that are drawn from one whatever their anchor is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from threedident.conditionals.conditional import Conditional
from threedident.conditionals.law import Law
from threedident.conditionals.steps import Normal
from threedident.runtime.arrays import is_tensor, namespace
from threedident.runtime.errors import nearest, unknown

MARGINALS = {
    "box": ("uniform",),
    "sphere": ("uniform", "normal", "laplace"),
    "real": ("normal", "laplace"),
}


@dataclass(frozen=True)
class Marginal:
    """The marginal p(z) over n coordinates, as a function of n uniform numbers for each row.

    In the box it is the uniform law on [-1, 1]^n. On the sphere it is the uniform law, or steps of
    scale 1 from the first axis that are projected to the sphere. In R^n it is steps of scale 1
    from 0.

    Arguments:
        space: ``box``, ``sphere`` or ``real``.
        name: name of a marginal of this space, see :data:`MARGINALS`.
        dimension: number n of coordinates.

    Raises:
        ValueError: the space does not have this marginal.
    """

    space: str
    name: str
    dimension: int

    def __post_init__(self) -> None:
        if self.space not in MARGINALS:
            raise ValueError(unknown("space", self.space, MARGINALS))
        known = MARGINALS[self.space]
        if self.name not in known:
            near = nearest(self.name, known)
            advice = "take one of these" if near is None else f"did you mean {near!r}?"
            raise ValueError(
                f"marginal: expected one that fits the {self.space} space ({', '.join(known)}), "
                f"found {self.name!r}; {advice}"
            )

    def transform(self, uniforms: Any) -> Any:
        """Latents, shape (B, n), float64, from uniform numbers in (0, 1) of the same shape."""
        if self.space == "box":
            return 2.0 * uniforms - 1.0
        if self.name == "uniform":
            steps = Normal(1.0, space="real").transform(0.0 * uniforms, uniforms)
            return steps / namespace(steps).sqrt((steps * steps).sum(1))[:, None]
        steps = Law(self.name, 1.0).conditional(self.space)
        return steps.transform(self._centre(uniforms), uniforms)

    def _centre(self, like: Any) -> Any:
        """The centre of the steps for each row: 0, or on the sphere the first unit vector."""
        centre = like.clone() if is_tensor(like) else np.array(like)
        centre[:] = 0.0
        if self.space == "sphere":
            centre[:, 0] = 1.0
        return centre


@dataclass(frozen=True, repr=False)
class Redraw(Conditional):
    """Positives from a marginal, independent of their anchors.

    Arguments:
        marginal: the marginal of all columns.
    """

    marginal: Marginal

    def count(self, dimension: int) -> int:
        """See :class:`Conditional`: one number for each column."""
        if dimension != self.marginal.dimension:
            raise ValueError(
                f"latents: expected rows of {self.marginal.dimension} columns, found {dimension}; "
                "take latents of the marginal's space"
            )
        return dimension

    def draw(self, anchors: Any, uniforms: Any) -> Any:  # noqa: ARG002
        """See :class:`Conditional`."""
        return self.marginal.transform(uniforms)

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        return {"marginal": self.marginal.name, "space": self.marginal.space}
