"""The laws of latents by name: p(z) of a space, and p(z~ | z) at a scale.

A conditional's name is ``normal``, ``laplace``, ``uniform``, ``gennorm`` with its exponent, such
as ``gennorm3``, or, on the sphere, ``vmf``, whose concentration kappa is one over the scale.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from threedident.conditionals.conditional import Conditional
from threedident.conditionals.sphere import VonMisesFisher
from threedident.conditionals.steps import GeneralizedNormal, Laplace, Normal, Uniform
from threedident.conditionals.steps import Space as StepSpace
from threedident.runtime.arrays import is_tensor, namespace
from threedident.runtime.errors import nearest, unknown

CONDITIONALS = ("normal", "laplace", "gennorm3", "uniform", "vmf")
MARGINALS = {
    "box": ("uniform",),
    "sphere": ("uniform", "normal", "laplace"),
    "real": ("normal", "laplace"),
}
_GENERAL = re.compile(r"gennorm(\d+(\.\d+)?)")
_STEPS: dict[str, StepSpace] = {"box": "box", "sphere": "projected", "real": "real"}


def build_conditional(name: str, sigma: float, space: str) -> Conditional:
    """p(z~ | z) by name.

    Arguments:
        name: one of :data:`CONDITIONALS`, or ``gennormB`` with another exponent B >= 1.
        sigma: scale, positive, in units of the latents; on the sphere of ``vmf``, 1 / kappa.
        space: ``box`` [-1, 1]^n, ``sphere`` or ``real``.

    Raises:
        ValueError: there is no such conditional, or none on that space.
    """
    general = _GENERAL.fullmatch(name)
    if name not in CONDITIONALS and general is None:
        advice = "after gennorm stands its exponent"
        raise ValueError(unknown("conditional", name, CONDITIONALS, advice))
    if name == "vmf":
        if space != "sphere":
            fitting = ", ".join(law for law in CONDITIONALS if law != "vmf")
            raise ValueError(
                f"conditional: expected one that fits latents of the {space} space ({fitting}), "
                "found vmf, which is a law on the sphere; take one of these"
            )
        return VonMisesFisher(1.0 / sigma)
    steps = _STEPS[space]
    if general is not None:
        return GeneralizedNormal(sigma, beta=float(general[1]), space=steps)
    laws: dict[str, Callable[..., Conditional]] = {
        "normal": Normal,
        "laplace": Laplace,
        "uniform": Uniform,
    }
    return laws[name](sigma, space=steps)


@dataclass(frozen=True)
class Marginal:
    """p(z) over n coordinates, as a function of n uniform numbers for each row.

    In the box the uniform law on [-1, 1]^n. On the sphere the uniform law, or unit steps around
    the first axis, projected; in R^n unit steps around 0.

    Arguments:
        space: ``box``, ``sphere`` or ``real``.
        name: one of :data:`MARGINALS` of that space.
        dimension: n.

    Raises:
        ValueError: the space has no such marginal.
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
        """Latents, shape (B, n), float64, of uniform numbers in (0, 1) of the same shape."""
        if self.space == "box":
            return 2.0 * uniforms - 1.0
        if self.name == "uniform":
            steps = Normal(1.0, space="real").transform(0.0 * uniforms, uniforms)
            return steps / namespace(steps).sqrt((steps * steps).sum(1))[:, None]
        law = build_conditional(self.name, 1.0, self.space)
        return law.transform(self._centre(uniforms), uniforms)

    def _centre(self, like: Any) -> Any:
        """The origin, or on the sphere the end of the first axis, for each row."""
        centre = like.clone() if is_tensor(like) else np.array(like)
        centre[:] = 0.0
        if self.space == "sphere":
            centre[:, 0] = 1.0
        return centre
