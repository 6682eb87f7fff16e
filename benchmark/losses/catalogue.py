"""Losses by name, their arguments, and the module of a run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmark.config import Config
from benchmark.losses.custom import CheckedLoss
from benchmark.losses.generative.beta_vae import BetaVAE
from benchmark.losses.generative.slow_vae import SlowVAE
from benchmark.losses.pairwise.aninfonce import AnInfoNCE
from benchmark.losses.pairwise.critic import Critic
from benchmark.losses.pairwise.decoupled import Decoupled
from benchmark.losses.pairwise.info_nce import InfoNCE
from benchmark.losses.pairwise.nce import NCE
from benchmark.losses.pairwise.nwj import NWJ
from benchmark.losses.pairwise.spectral import Spectral
from benchmark.losses.redundancy.barlow import BarlowTwins
from benchmark.losses.redundancy.lejepa import LeJEPA
from benchmark.losses.redundancy.vicreg import VICReg
from benchmark.losses.redundancy.whitening import Whitening
from benchmark.losses.similarities import parse_similarity
from benchmark.losses.targets.diet import DIET
from benchmark.losses.targets.supervised import Supervised
from benchmark.plugins import declared, imported, is_plugin
from benchmark.protocol import procedure_of
from threedident.runtime.errors import printable, unknown

SUPERVISED = "supervised"
ESTIMATORS: dict[str, Callable[..., nn.Module]] = {
    "info-nce": InfoNCE,
    "decoupled": Decoupled,
    "nce": NCE,
    "spectral": Spectral,
    "nwj": NWJ,
}
_OTHERS: dict[str, Callable[..., nn.Module]] = {
    SUPERVISED: Supervised,
    "aninfonce": AnInfoNCE,
    "vicreg": VICReg,
    "barlow": BarlowTwins,
    "lejepa": LeJEPA,
    "whitening": Whitening,
    "diet": DIET,
    "beta-vae": BetaVAE,
    "slow-vae": SlowVAE,
}
SIMILARITIES = ("l1", "l2", "l3", "dot", "cosine")
LOSSES = (*SIMILARITIES, *_OTHERS)
_OF_OPTIONS = (  # of a critic
    "similarity",
    "temperature",
    "symmetric",
    "learned_scales",
    "anchor_as_negative",
    "sphere",
)


@dataclass(frozen=True)
class Facts:
    """The arguments of losses that follow from the data and the encoder.

    Arguments:
        codes: number of codes n.
        shape: shape of one observation.
        rows: number of rows that anchors are taken from; None if there is no table.
        features: number of outputs of the layer before the last; None if there is none.
        sphere: number of the last codes, which encode a point on a sphere.
    """

    codes: int
    shape: tuple[int, ...]
    rows: int | None = None
    features: int | None = None
    sphere: int = 0


_REASONS = {
    "rows": "a source whose anchors are numbered rows",
    "features": "an encoder with a layer before the last; give --features and --projector",
}
_FACTS = ("shape", *_REASONS)


def find_loss(name: str, estimator: str | None = None) -> Callable[..., nn.Module]:
    """The class or function that makes a loss.

    Arguments:
        name: one of :data:`LOSSES`, ``lP`` with an exponent P, a sum such as ``l2+dot``, or a
            plugin.
        estimator: one of :data:`ESTIMATORS` for losses of a similarity; None for InfoNCE.

    Raises:
        ValueError: there is no loss of this name, or the plugin cannot be imported.
    """
    if parse_similarity(name) is not None:
        return ESTIMATORS[estimator or "info-nce"]
    if name in _OTHERS:
        return _OTHERS[name]
    if is_custom(name):
        return _with_signature(name, imported(name, "loss"))
    advice = (
        "take one of these, or l with an exponent of at least 1, such as l1.5, or an import path "
        "such as my_package.losses:MyLoss"
    )
    raise ValueError(unknown("--loss", name, [*LOSSES, *declared("loss")], advice))


def _with_signature(name: str, make: Callable[..., Any]) -> Callable[..., Any]:
    try:
        inspect.signature(make)
    except ValueError:
        raise ValueError(
            f"loss: expected {name} to have a signature in Python, found none; wrap it in a "
            "function of the number of codes"
        ) from None
    return make


def is_custom(name: str) -> bool:
    """True if the name of a loss is a plugin."""
    known = name in _OTHERS or parse_similarity(name) is not None
    return not known and is_plugin(name, "loss")


def is_paired(loss: str) -> bool:
    """True if a loss uses positive pairs."""
    return bool(getattr(find_loss(loss), "paired", True))


def is_supervised(loss: str) -> bool:
    """True if a loss reads latents."""
    return bool(getattr(find_loss(loss), "supervised", False))


def reads_latents(config: Config) -> bool:
    """True if training read latents, by the configuration alone, without import of a plugin."""
    return config.loss == SUPERVISED or config.supervised


def checked_options(loss: str, estimator: str | None, texts: Iterable[str]) -> tuple[str, ...]:
    """Arguments of a loss in their canonical spelling, sorted by name.

    Arguments:
        loss: name of the loss.
        estimator: see :func:`find_loss`.
        texts: the arguments as ``name=value``.

    Raises:
        ValueError: the loss has no such argument, a value has another type, or a name is given
            twice.
    """
    values: dict[str, Any] = {}
    parameters = _parameters(find_loss(loss, estimator))
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(
                f"--loss-option: expected name=value, found {printable(text)}; write such a pair"
            )
        if name not in parameters:
            if not parameters:
                raise ValueError(
                    f"--loss-option: expected none for the loss {loss}, which takes no arguments, "
                    f"found {printable(name)}; leave it out"
                )
            raise ValueError(unknown("--loss-option", name, parameters, "name one of these"))
        if name in values:
            raise ValueError(f"--loss-option: expected {name} once, found it twice; give it once")
        values[name] = _value(name, value, parameters[name])
    return tuple(f"{name}={values[name]}" for name in sorted(values))


def _parameters(make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The arguments of a loss that a user may give: all but n and those that a run gives."""
    others = list(inspect.signature(make).parameters.values())[1:]
    critic = isinstance(make, type) and issubclass(make, Critic)
    taken = (*_FACTS, *(_OF_OPTIONS if critic else ()))
    named = [each for each in others if each.kind is not inspect.Parameter.VAR_KEYWORD]
    return {each.name: each for each in named if each.name not in taken}


def _value(name: str, text: str, parameter: inspect.Parameter) -> bool | int | float | str:
    """The value of a text, which has the type of the argument's default value."""
    default = parameter.default
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, str):
            return text
        return int(text) if isinstance(default, int) else float(text)
    except (KeyError, ValueError):
        kinds = {bool: "true or false", int: "an integer"}
        raise ValueError(
            f"--loss-option: expected {kinds.get(type(default), 'a number')} for {name}, found "
            f"{printable(text)!r}; give one"
        ) from None


def build_loss(config: Config, facts: Facts, seed: int) -> nn.Module:
    """The loss of a run.

    Arguments:
        config: configuration of the run.
        facts: arguments that follow from the data and the encoder.
        seed: seed of the initial parameters. The global generator of torch stays unchanged.

    Raises:
        ValueError: the loss does not fit the data or the encoder, or cannot be made.
    """
    make = find_loss(config.loss, config.estimator)
    parameters = _parameters(make)
    given = dict(text.split("=", 1) for text in config.loss_option or ())
    asked: dict[str, Any] = {name: _value(name, given[name], parameters[name]) for name in given}
    asked |= _facts(config.loss, make, facts)
    if parse_similarity(config.loss) is not None:
        asked |= {
            "similarity": config.loss,
            "temperature": config.temperature,
            "symmetric": config.symmetric,
            "learned_scales": config.learned_scales,
            "anchor_as_negative": procedure_of(config).anchor_as_negative,
            "sphere": facts.sphere,
        }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _made(config.loss, make, facts.codes, asked)


def _facts(loss: str, make: Callable[..., Any], facts: Facts) -> dict[str, Any]:
    """The facts that the signature of a loss asks for.

    Raises:
        ValueError: a fact is not known.
    """
    found = {}
    for name in inspect.signature(make).parameters:
        if name not in _FACTS:
            continue
        found[name] = getattr(facts, name)
        if found[name] is None:
            raise ValueError(
                f"--loss: expected {_REASONS[name]} for {loss}, found none; take another loss"
            )
    return found


def _made(
    loss: str, make: Callable[..., nn.Module], codes: int, asked: dict[str, Any]
) -> nn.Module:
    if not is_custom(loss):
        return make(codes, **asked)
    try:
        module = make(codes, **asked)
    except Exception as error:
        spelt = ", ".join([str(codes), *(f"{name}={value}" for name, value in asked.items())])
        raise ValueError(
            f"loss: expected {loss}({spelt}) to make a module, found {type(error).__name__}: "
            f"{error}; its arguments are the number of codes and the options of the loss"
        ) from None
    if not isinstance(module, nn.Module):
        raise ValueError(
            f"loss: expected {loss} to make a torch.nn.Module, found {type(module).__name__}; "
            "return one"
        )
    return CheckedLoss(loss, module)
