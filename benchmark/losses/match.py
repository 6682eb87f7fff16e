"""The output spaces and conditionals that fit a loss, and the assumptions that a run violates."""

from __future__ import annotations

import math

from benchmark.config import Config
from benchmark.encoders.output_spaces import OUTPUT_SPACES, SUMS
from benchmark.losses.catalogue import SUPERVISED, find_loss
from benchmark.losses.similarities import exponent, is_sum, parse_similarity
from benchmark.settings import ImageSettings, MixingSettings
from threedident.conditionals.law import Law

_WITH_OFFSET = ("nce", "spectral", "nwj")
_SPHERES = ("sphere", "learned-sphere")
_FLAT = ("box", "fixed-box", "unbounded")
_HOLDING = {
    "unit-box": ("unbounded", "box", "fixed-box"),
    "sphere": ("unbounded", *_SPHERES),
    "real": ("unbounded",),
}


def fitting_space(
    loss: str, output_space: str | None, latents: str, estimator: str | None = None
) -> str:
    """The output space to use: the given one, or the one that fits the loss best.

    Arguments:
        loss: name of the loss, see :func:`benchmark.losses.catalogue.find_loss`.
        output_space: the requested output space, or None.
        latents: space of the latents: ``unit-box`` [0, 1]^n, ``sphere`` or ``real``. The output
            space of the supervised loss must contain it.
        estimator: see :func:`benchmark.losses.catalogue.find_loss`.

    Raises:
        ValueError: the loss is not defined on the given space, or cannot recover the latents
            in it.
    """
    spaces = _fitting(loss, latents, estimator)
    if output_space is None:
        return spaces[0]
    if output_space not in spaces:
        raise ValueError(
            f"--output-space: expected one that fits the loss {loss} ({', '.join(spaces)}), "
            f"found {output_space}; take one of these, or another --loss"
        )
    return output_space


def _fitting(loss: str, latents: str, estimator: str | None) -> tuple[str, ...]:
    """The output spaces that fit a loss, the default first."""
    if loss == SUPERVISED:
        return _HOLDING[latents]
    if loss == "dot":
        return ("unbounded", *_SPHERES) if estimator == "spectral" else _SPHERES
    if is_sum(loss):
        return SUMS
    if loss == "cosine":
        return (*_SPHERES, "unbounded")
    if parse_similarity(loss) is not None:
        return _FLAT
    own = getattr(find_loss(loss), "output_space", None)
    if own is None:
        return tuple(OUTPUT_SPACES)
    return (own,) if isinstance(own, str) else tuple(own)


def check_fit(loss: str, conditional: Law | None) -> None:
    """Check that the loss can model the conditional.

    Raises:
        ValueError: the conditional is von Mises-Fisher, and the loss compares codes by something
            else than angles.
    """
    flat = exponent(loss) is not None
    if conditional is not None and conditional.name == "vmf" and flat:
        raise ValueError(
            f"--loss: expected one that fits the conditional vmf (dot, cosine), found {loss}; "
            "take one of these, or another --conditional"
        )


def mismatch(config: Config) -> str | None:
    """The first assumption of the theory that a run violates, in words; None if it violates none.

    None also if the loss states no assumptions, or compares similarities and the run has neither
    a conditional law nor a rule.
    """
    if parse_similarity(config.loss) is None:
        return _own_mismatch(config)
    source = config.source
    rule = getattr(source, "rule", None)
    if rule is not None:
        return _beyond(rule)
    law = getattr(source, "conditional", None)
    if law is None:
        return None
    if isinstance(source, ImageSettings) and any(source.factor_set.circular):
        return _on_a_sphere(config, source, law)
    if isinstance(source, MixingSettings) and source.marginal != "uniform":
        return f"latents are not uniform, but {source.marginal}"
    sphere = isinstance(source, MixingSettings) and source.space == "sphere"
    if sphere and law.name != "vmf" and not law.name.startswith("anisotropic"):
        return f"the conditional {law.name} is not defined on the sphere"
    if not _same_form(config.loss, law):
        return f"the loss {config.loss} models another law than the conditional {law.name}"
    if law.name == "vmf":
        if config.estimator == "spectral":
            return _no_eigenfunctions(config)
        return _unlike_concentration(config, 1.0 / law.sigma)
    if config.estimator in _WITH_OFFSET:
        return (
            f"near the borders of the box the normaliser of p(z~ | z) depends on z, but "
            f"{config.estimator} learns one number for all anchors"
        )
    if config.output_space == "unbounded":
        return "codes are unbounded where latents lie in a box"
    return None if config.output_space == "box" else _unlike_scale(config, law)


def _on_a_sphere(config: Config, source: ImageSettings, law: Law) -> str | None:
    """The difference between the model and images whose angles are a point on a sphere, in words.

    Positions follow the law, angles a von Mises-Fisher law.
    """
    flat, plus, angular = config.loss.rpartition("+")
    if bool(plus) != (source.factor_set.flat > 0) or angular not in ("dot", "cosine"):
        return f"the loss {config.loss} does not model angles without ends"
    if plus and not _same_form(flat, law):
        return f"the loss {flat} models another law than the conditional {law.name}"
    if not plus:
        return _unlike_concentration(config, 1.0 / law.sigma)
    if angular == "cosine" or config.output_space != "box+learned-sphere":
        return "codes on a sphere of fixed radius have another concentration than the angles"
    return None


def _own_mismatch(config: Config) -> str | None:
    """The answer of the loss itself.

    Raises:
        ValueError: the method of the loss fails.
    """
    matches = getattr(find_loss(config.loss), "matches", None)
    if matches is None:
        return None
    try:
        found: str | None = matches(config)
    except Exception as error:
        raise ValueError(
            f"loss: expected matches of {config.loss} to take a configuration, found "
            f"{type(error).__name__}: {error}; make it a static method"
        ) from None
    return found


def _no_eigenfunctions(config: Config) -> str | None:
    """The reason why codes of the spectral loss on the sphere are not the latents, in words."""
    assert isinstance(config.source, MixingSettings)
    factors = config.source.factors
    if config.loss == "cosine" or config.output_space != "unbounded":
        return "codes of the spectral loss have one norm, but eigenfunctions have many"
    if (config.codes or factors) <= factors:
        return (
            f"the spectral loss needs one code for the constant, so more than {factors} for "
            f"{factors} factors"
        )
    return None


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
    power = exponent(config.loss)
    assert power is not None
    side = 1.0 if isinstance(config.source, MixingSettings) else 2.0  # side of the latents' box
    modelled = config.temperature ** (1.0 / power) * side / config.extent
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
    power = exponent(loss)
    return power is not None and power == law.exponent
