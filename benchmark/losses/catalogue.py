"""Losses by name, their arguments, and the module of a run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmark.arguments import parameters_of, read_arguments, spell_arguments
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
from threedident.runtime.errors import unknown

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
        features: number of outputs of the layer before the last, or None.
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
        make = imported(name, "loss")
        parameters_of(make, name, "loss", ())
        return make
    advice = (
        "take one of these, or l with an exponent of at least 1, such as l1.5, or an import path "
        "such as my_package.losses:MyLoss"
    )
    raise ValueError(unknown("--loss", name, [*LOSSES, *declared("loss")], advice))


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
    known = _parameters(loss, find_loss(loss, estimator))
    return spell_arguments(read_arguments(texts, known, loss, "loss"))


def _parameters(loss: str, make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The arguments of a loss that a user may give: all but n and those that a run gives."""
    critic = isinstance(make, type) and issubclass(make, Critic)
    taken = (*_FACTS, *(_OF_OPTIONS if critic else ()))
    codes = next(iter(inspect.signature(make).parameters), "")
    return parameters_of(make, loss, "loss", (codes, *taken))


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
    known = _parameters(config.loss, make)
    asked: dict[str, Any] = read_arguments(config.loss_option or (), known, config.loss, "loss")
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
        ValueError: a fact without default is not known.
    """
    found = {}
    for name, parameter in inspect.signature(make).parameters.items():
        if name not in _FACTS:
            continue
        found[name] = getattr(facts, name)
        if found[name] is None and parameter.default is not None:
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
