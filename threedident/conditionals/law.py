"""Laws: conditionals by name and scale, as options, manifests and configurations spell them.

The names are ``normal``, ``laplace``, ``uniform``, ``gennormB`` with an exponent B >= 1, such as
``gennorm3``; on the sphere ``vmf``, whose concentration kappa is one over the scale, and
``anisotropicR``, whose concentrations rise from kappa to R kappa over the axes; and in R^n
``autoregressive``, whose steps keep the standard normal law.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, TypeAlias

import numpy as np
from pydantic import ConfigDict, Field

from threedident.conditionals.anisotropic import Anisotropic
from threedident.conditionals.autoregressive import Autoregressive
from threedident.conditionals.conditional import Conditional
from threedident.conditionals.sphere import VonMisesFisher
from threedident.conditionals.steps import GeneralizedNormal, Laplace, Normal, Space, Uniform
from threedident.runtime.errors import nearest, unknown

CONDITIONALS = (
    "normal",
    "laplace",
    "gennorm3",
    "uniform",
    "vmf",
    "anisotropic",
    "autoregressive",
)
_HOMES = {"vmf": "sphere", "anisotropic": "sphere", "autoregressive": "real"}
_PLACES = {"sphere": "the sphere", "real": "R^n"}
_ANISOTROPIC = re.compile(r"anisotropic(\d+(?:\.\d+)?)?")
_RATIO = 5.0
_GENERAL = "gennorm"
_STEPS: dict[str, Space] = {"box": "box", "sphere": "projected", "real": "real"}
_Kind: TypeAlias = Callable[..., Conditional]
_KINDS: dict[str, _Kind] = {"normal": Normal, "laplace": Laplace, "uniform": Uniform}
_EXPONENTS = {"laplace": 1.0, "normal": 2.0}
_LARGEST = float(np.finfo(np.float32).max)  # models compute in float32


@dataclass(frozen=True)
class Law:
    """A conditional p(z~ | z) by name and scale.

    Arguments:
        name: ``normal``, ``laplace``, ``uniform``, ``gennormB``, ``vmf``, ``anisotropicR`` or
            ``autoregressive``. ``anisotropic`` has R = 5.
        sigma: scale, positive, in units of the latents; of ``vmf`` and ``anisotropicR``,
            1 / kappa.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    sigma: Annotated[float, Field(gt=0, le=_LARGEST, allow_inf_nan=False)]

    @property
    def exponent(self) -> float | None:
        """Exponent p of the distance in the log density; None where there is none."""
        return _exponent(self.name)

    def conditional(self, space: str) -> Conditional:
        """The conditional on a space.

        Arguments:
            space: ``box`` [-1, 1]^n, ``sphere`` or ``real``.

        Raises:
            ValueError: there is no conditional of that name, none on that space, or none of that
                scale.
        """
        ratio = _ANISOTROPIC.fullmatch(self.name)
        family = self.name if ratio is None else "anisotropic"
        if family not in CONDITIONALS and self.exponent is None:
            advice = "write the exponent after gennorm"
            raise ValueError(unknown("conditional", self.name, CONDITIONALS, advice))
        home = _HOMES.get(family, space)
        if home != space:
            fitting = [name for name in CONDITIONALS if _HOMES.get(name, space) == space]
            raise ValueError(
                f"conditional: expected one that fits latents of the {space} space "
                f"({', '.join(fitting)}), found {self.name}, which is a law on {_PLACES[home]}; "
                "take one of these"
            )
        if ratio is not None:
            return Anisotropic(1.0 / self.sigma, float(ratio[1] or _RATIO))
        if family == "vmf":
            return VonMisesFisher(1.0 / self.sigma)
        if family == "autoregressive":
            return Autoregressive(self.sigma)
        return _kind(self.name)(self.sigma, space=_STEPS[space])


def conditional_of(laws: Sequence[Law], space: str = "box") -> Conditional:
    """The conditional of independent columns whose laws have one name.

    Arguments:
        laws: one for each column.
        space: ``box`` or ``real``.

    Raises:
        ValueError: a scale is not positive.
    """
    scales = [law.sigma for law in laws]
    alike = len(set(scales)) == 1
    return _kind(laws[0].name)(scales[0] if alike else scales, space=_STEPS[space])


def parse_laws(text: str, sphere: bool = False) -> tuple[Law, ...]:
    """The laws in a text such as ``normal:0.1`` or ``gennorm3:0.1,0.2``, one for each scale.

    Arguments:
        text: name of a law and its scales.
        sphere: True to accept ``vmf``.

    Raises:
        ValueError: the text names no law, or a number in it is none.
    """
    name, _, scales = text.partition(":")
    if sphere and name == "vmf":
        return tuple(Law(name, _number(number, "scale S")) for number in scales.split(","))
    if name not in _KINDS and not name.startswith(_GENERAL):
        near = nearest(name, (*_KINDS, f"{_GENERAL}3"))
        advice = "name one of these, such as normal:0.1"
        raise ValueError(advice if near is None else f"did you mean {near!r}?")
    numbers = [_number(number, "scale S") for number in scales.split(",")]
    if name not in _KINDS:
        name = f"{_GENERAL}{_number(name.removeprefix(_GENERAL), 'exponent B'):g}"
    return tuple(Law(name, number) for number in numbers)


def spell_laws(laws: Sequence[Law]) -> str:
    """The inverse of :func:`parse_laws`; equal laws have one spelling."""
    return f"{laws[0].name}:{','.join(str(law.sigma) for law in laws)}"


def _kind(name: str) -> _Kind:
    if name in _KINDS:
        return _KINDS[name]
    return partial(GeneralizedNormal, beta=_number(name.removeprefix(_GENERAL), "exponent B"))


def _exponent(name: str) -> float | None:
    if not name.startswith(_GENERAL):
        return _EXPONENTS.get(name)
    try:
        return float(name.removeprefix(_GENERAL))
    except ValueError:
        return None


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        found = repr(text) if text else "none"
        raise ValueError(f"{name}: expected a number, found {found}") from None
