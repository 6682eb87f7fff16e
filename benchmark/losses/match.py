"""Names of losses, and the output spaces and conditionals that fit each loss."""

from __future__ import annotations

import math
import re

from torch import Tensor

from benchmark.config import Config, MaskSettings, MixingSettings
from benchmark.losses.similarities import CosineSimilarity, DotSimilarity, LpSimilarity, Similarity
from threedident.conditionals.law import Law
from threedident.runtime.errors import unknown

SUPERVISED = "supervised"
LOSSES = ("l1", "l2", "l3", "dot", "cosine", SUPERVISED)
_LP = re.compile(r"l(\d+(\.\d+)?)")
_SPHERES = ("sphere", "learned-sphere")
_FLAT = ("box", "fixed-box", "unbounded")
_HOLDING = {
    "unit-box": ("unbounded", "box", "fixed-box"),
    "sphere": ("unbounded", *_SPHERES),
    "real": ("unbounded",),
}


def parse_loss(name: str, scales: Tensor | None = None) -> Similarity | None:
    """The similarity of a loss; None for the supervised loss.

    Arguments:
        name: ``dot``, ``cosine``, ``supervised``, or ``l`` and an exponent p >= 1, for example
            ``l1.5``.
        scales: weights of the coordinates for ``lP``, shape (n,).

    Raises:
        ValueError: there is no loss of this name.
    """
    power = _LP.fullmatch(name)
    if power is not None and float(power[1]) >= 1:
        return LpSimilarity(float(power[1]), scales)
    if name == "dot":
        return DotSimilarity()
    if name == "cosine":
        return CosineSimilarity()
    if name != SUPERVISED:
        advice = "take one of these, or l with an exponent of at least 1, such as l1.5"
        raise ValueError(unknown("--loss", name, LOSSES, advice))
    return None


def fitting_space(loss: str, output_space: str | None, latents: str) -> str:
    """The output space to use: the given one, or the one that fits the loss best.

    Arguments:
        loss: name of the loss, see :func:`parse_loss`.
        output_space: the requested output space, or None.
        latents: space of the latents: ``unit-box`` [0, 1]^n, ``sphere`` or ``real``. The output
            space of the supervised loss must contain it.

    Raises:
        ValueError: the loss is not defined on the given space, or cannot recover the latents
            in it.
    """
    spaces = {
        "dot": _SPHERES,
        "cosine": (*_SPHERES, "unbounded"),
        SUPERVISED: _HOLDING[latents],
    }.get(loss, _FLAT)
    if output_space is None:
        return spaces[0]
    if output_space not in spaces:
        raise ValueError(
            f"--output-space: expected one that fits the loss {loss} ({', '.join(spaces)}), "
            f"found {output_space}; take one of these, or another --loss"
        )
    return output_space


def check_fit(loss: str, conditional: Law | None) -> None:
    """Check that the loss can model the conditional.

    Raises:
        ValueError: the conditional is von Mises-Fisher, and the loss does not depend on angles.
    """
    on_sphere = loss in ("dot", "cosine")
    if conditional is not None and conditional.name == "vmf" and not on_sphere:
        raise ValueError(
            f"--loss: expected one that fits the conditional vmf (dot, cosine), found {loss}; "
            "take one of these, or another --conditional"
        )


def mismatch(config: Config) -> str | None:
    """The first assumption of the theory that a run violates, in words; None if it violates none.

    None also if the run has neither a conditional law nor a rule.
    """
    source = config.source
    if isinstance(source, MaskSettings):
        return None
    if source.rule is not None:
        return _beyond(source.rule)
    law = source.conditional
    if law is None:
        return None
    if isinstance(source, MixingSettings) and source.marginal != "uniform":
        return f"latents are not uniform, but {source.marginal}"
    sphere = isinstance(source, MixingSettings) and source.space == "sphere"
    if sphere and law.name != "vmf":
        return f"the conditional {law.name} is not defined on the sphere"
    if not _same_form(config.loss, law):
        return f"the loss {config.loss} models another law than the conditional {law.name}"
    if law.name == "vmf":
        return _unlike_concentration(config, 1.0 / law.sigma)
    if config.output_space == "unbounded":
        return "codes are unbounded where latents lie in a box"
    return None if config.output_space == "box" else _unlike_scale(config, law)


def _beyond(rule: str) -> str:
    """The difference between the theory of one conditional and a rule of pairs, in words."""
    if "keep" in rule or "marginal" in rule:
        return (
            "the rule keeps or redraws factors, and then only the block of kept ones (content) is "
            "identified (von Kügelgen et al., 2021)"
        )
    return "the rule gives factors different laws, the loss models one"


def _unlike_scale(config: Config, law: Law) -> str | None:
    """The difference between the model's scale in a fixed box and the scale of the law, in words.

    None if they are equal.
    """
    assert config.temperature is not None
    assert config.extent is not None
    exponent = float(config.loss.removeprefix("l"))
    side = 1.0 if isinstance(config.source, MixingSettings) else 2.0  # side of the latents' box
    modelled = config.temperature ** (1.0 / exponent) * side / config.extent
    scale = law.sigma * math.sqrt(2.0) if law.name == "normal" else law.sigma
    if math.isclose(modelled, scale, rel_tol=1e-6):
        return None
    return f"in the fixed box the loss models the scale {modelled:g}, that of latents is {scale:g}"


def _unlike_concentration(config: Config, kappa: float) -> str | None:
    """The difference between the model's concentration and ``kappa``, in words; None if equal."""
    if config.output_space == "learned-sphere" and config.loss == "dot":
        return None
    assert config.temperature is not None
    radius = 1.0 if config.loss == "cosine" else config.extent or 1.0
    modelled = radius**2 / config.temperature
    if math.isclose(modelled, kappa, rel_tol=1e-6):
        return None
    return f"codes have the concentration {modelled:g}, latents {kappa:g}"


def _same_form(loss: str, law: Law) -> bool:
    """True if the loss models conditionals of the same form as the law."""
    if law.name == "vmf":
        return loss in ("dot", "cosine")
    power = _LP.fullmatch(loss)
    return power is not None and float(power[1]) == law.exponent
