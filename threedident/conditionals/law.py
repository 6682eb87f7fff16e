"""Conditionals by name."""

from __future__ import annotations

import re
from collections.abc import Callable

from threedident.conditionals.conditional import Conditional
from threedident.conditionals.sphere import VonMisesFisher
from threedident.conditionals.steps import GeneralizedNormal, Laplace, Normal, Uniform
from threedident.conditionals.steps import Space as StepSpace
from threedident.runtime.errors import unknown

CONDITIONALS = ("normal", "laplace", "gennorm3", "uniform", "vmf")

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
