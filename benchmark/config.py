"""The configuration of a run: what was asked for, resolved, and written beside the results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from threedident.conditionals.law import Law
from threedident.latents.philox import SEEDS
from threedident.runtime.errors import printable
from threedident.runtime.files import sha256
from threedident.runtime.records import Frozen
from threedident.storage.manifest import MOST_PIXELS

_QUOTED = 80  # characters of a value in a message
LARGEST = float(np.finfo(np.float32).max)  # models compute in float32
MOST_STEPS = 10**9
MOST_PAIRS = 10**6  # a step
MOST_FRAMES = 10**6  # between the two images of a pair
Positive = Annotated[float, Field(gt=0, le=LARGEST, allow_inf_nan=False)]
MOST_LATENTS = 100  # more would take minutes to mix
IMAGE_PAIRS = ("nearest", "rendered", "augmented")
SOURCES = (*IMAGE_PAIRS, "mixing", "kitti")


@dataclass(frozen=True)
class Option:
    """How ``threedident benchmark`` asks for a setting. It annotates the setting's field.

    Arguments:
        heading: of the help, under which the option stands.
        help: what the setting is; ``{names}`` stands for the names that are known.
        paper: the paper's value where none is given: one for all sources, or a mapping with one
            for each source that has the setting. None where the value follows from other settings
            or from the data.
        default: the value where none is given, of settings that do not depend on the source.
        contrastive: whether only contrastive training has the setting.
    """

    heading: str
    help: str
    paper: Any = None
    default: Any = None
    contrastive: bool = False

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that have the setting."""
        return tuple(self.paper) if isinstance(self.paper, dict) else SOURCES

    def paper_value(self, source: str) -> Any:
        """The paper's value for a source."""
        return self.paper.get(source) if isinstance(self.paper, dict) else self.paper


def of_images(value: Any) -> dict[str, Any]:
    """The same value of the paper for every source of images."""
    return dict.fromkeys(IMAGE_PAIRS, value)


class ImageSettings(Frozen):
    """Rendered images.

    Arguments:
        pairs: how positives are found; None for supervised training, which has none.
        anchor: a ``row`` of the data set, or a draw from the ``marginal``; for nearest pairs.
        conditional: of nearest pairs, or what rendered ones were drawn from where one scale
            serves all factors.
        data: digests of both splits' images, as the manifests record them.
        resolution: edge of the images in pixels.
        numbering: version of the pairs' numbering, see :data:`threedident.pairs.epochs.NUMBERING`;
            1 in runs made before there was this field.
    """

    kind: Literal["images"] = "images"
    pairs: Literal["nearest", "rendered", "augmented"] | None
    anchor: Annotated[
        Literal["row", "marginal"] | None,
        Option(
            "Pairs",
            "Nearest pairs: around a row of the data, or as published [default: row].",
            {"nearest": "row"},
            contrastive=True,
        ),
    ]
    conditional: Law | None
    data: dict[str, str]
    resolution: Annotated[
        int,
        Field(gt=0, le=MOST_PIXELS),
        Option(
            "Data",
            "Edge of the images in pixels [default: that of the data set].",
            of_images(None),
        ),
    ]
    numbering: int = 1


class MixingSettings(Frozen):
    """Latents mixed by a random MLP.

    Arguments:
        factors: number n of latents.
        space: ``box`` [0, 1]^n, ``sphere`` or ``real``.
        marginal: p(z), as :class:`benchmark.sources.mixing.Marginal` takes it.
        conditional: None for supervised training.
    """

    kind: Literal["mixing"] = "mixing"
    factors: Annotated[
        int,
        Field(gt=1, le=MOST_LATENTS),
        Option("Data", "Mixing: number of latents n [default: 10].", {"mixing": 10}),
    ]
    space: Annotated[
        Literal["box", "sphere", "real"],
        Option("Data", "Mixing: space of the latents [default: box].", {"mixing": "box"}),
    ]
    marginal: Annotated[
        str,
        Option(
            "Data",
            "Mixing: marginal p(z) [default: uniform; real space normal].",
            {"mixing": None},
        ),
    ]
    conditional: Law | None


class MaskSettings(Frozen):
    """KITTI Masks.

    Arguments:
        data: digest of the file.
        max_distance: frames between the two of a pair, at most.
        paired: whether there are pairs, or supervised training.
        numbering: of the pairs, as for images.
    """

    kind: Literal["kitti"] = "kitti"
    data: str
    max_distance: Annotated[
        int,
        Field(gt=0, le=MOST_FRAMES),
        Option(
            "Pairs",
            "KITTI: most frames between the two of a pair [default: 1].",
            {"kitti": 1},
            contrastive=True,
        ),
    ]
    paired: bool
    numbering: int = 1


class Config(Frozen):
    """Everything that a run's numbers depend on, beside software and hardware.

    Arguments:
        source: what is encoded, and how positives are found.
        encoder: name of the encoder, or its import path.
        loss: as :func:`benchmark.losses.match.parse_loss` takes it.
        output_space: where codes lie.
        extent: side of its box or radius of its sphere, to begin with where learned.
        temperature: of InfoNCE; None for the supervised loss.
        symmetric: whether positives are anchors, too, as in SimCLR.
        learned_scales: whether the similarity weighs coordinates by learned numbers.
        steps: optimiser steps.
        batch_size: pairs per step, over all ranks.
        learning_rate: of Adam, at its highest.
        schedule: how the learning rate falls.
        warmup: steps in which it rises.
        precision: of the encoder's arithmetic; codes and loss are float32 at least.
        eval_every: steps between two scores on the test split.
        protocol: how the test split is scored.
        seeds: one training each.
    """

    source: Annotated[ImageSettings | MixingSettings | MaskSettings, Field(discriminator="kind")]
    encoder: Annotated[
        str,
        Option(
            "Model",
            "Network: {names}, or one of your own as my_pkg.nets:MyNet [default: resnet18; mixing "
            "mlp; kitti conv].",
            {**of_images("resnet18"), "mixing": "mlp", "kitti": "conv"},
        ),
    ]
    loss: Annotated[
        str,
        Option(
            "Training",
            "{names}, or lP with an exponent such as l1.5 [default: l2; augmented dot; kitti l1].",
            {**of_images("l2"), "augmented": "dot", "mixing": "l2", "kitti": "l1"},
        ),
    ]
    output_space: Annotated[
        str, Option("Model", "Space in which codes lie [default: what fits the loss].")
    ]
    extent: Annotated[
        Positive | None,
        Option(
            "Model",
            "Side of the box or radius of the sphere; the first value where it is learned "
            "[default: box 10, else 1].",
        ),
    ]
    temperature: Annotated[
        Positive | None,
        Option(
            "Training", "Temperature, which divides similarities [default: 1].", contrastive=True
        ),
    ]
    symmetric: Annotated[
        bool,
        Option(
            "Training",
            "Take positives as anchors, too, as in SimCLR.",
            default=False,
            contrastive=True,
        ),
    ]
    learned_scales: Annotated[
        bool,
        Option(
            "Training",
            "Learn a weight for each coordinate in the loss.",
            default=False,
            contrastive=True,
        ),
    ]
    steps: Annotated[
        int,
        Field(ge=0, le=MOST_STEPS),
        Option(
            "Training",
            "Training steps; 0 scores the untrained encoder [default: the paper's].",
            {**of_images(30_000), "mixing": 300_003, "kitti": 300_000},
        ),
    ]
    batch_size: Annotated[
        int,
        Field(gt=1, le=MOST_PAIRS),
        Option(
            "Training",
            "Pairs a step, over all ranks [default: the paper's].",
            {**of_images(512), "mixing": 6144, "kitti": 32},  # KITTI's 64 counts both of a pair
        ),
    ]
    learning_rate: Annotated[
        Positive, Option("Training", "Learning rate of Adam [default: 1e-4].", 1e-4)
    ]
    schedule: Annotated[
        Literal["constant", "cosine", "linear"],
        Option("Training", "Learning rate over the steps after the warm-up.", default="constant"),
    ]
    warmup: Annotated[
        int,
        Field(ge=0, le=MOST_STEPS),
        Option("Training", "Steps in which the learning rate rises linearly.", default=0),
    ]
    precision: Annotated[
        Literal["float32", "bf16"],
        Option(
            "Training",
            "Precision of the encoder's layers in training; bf16 is autocast.",
            default="float32",
        ),
    ]
    eval_every: Annotated[int, Field(gt=0)]
    protocol: Annotated[
        Literal["held-out", "published"],
        Option(
            "Scoring",
            "Scores on the whole test split, or as published: 4096 rows, statistics of the batch.",
            default="held-out",
        ),
    ]
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=SEEDS)], ...],
        Field(min_length=1),
        Option("Run", "Seeds by commas, one training each, such as 0,1,2 [default: 0].", (0,)),
    ]


def numbering(config: Config) -> int | None:
    """The version of the pairs' numbering; None for mixing, which has no epochs."""
    return getattr(config.source, "numbering", None)


def with_numbering(config: Config, number: int | None) -> Config:
    """The same configuration with pairs that are numbered otherwise."""
    if numbering(config) is None or number is None:
        return config
    source = config.source.model_copy(update={"numbering": number})
    return config.model_copy(update={"source": source})


def differences(old: Config, new: Config) -> list[str]:
    """The fields in which two configurations differ, as ``name old where new is asked for``."""
    return changes(flat(old), flat(new))


def changes(was: Mapping[str, Any], is_now: Mapping[str, Any]) -> list[str]:
    """The values in which two sets of settings differ, in the same words."""
    return [
        f"{_quoted(name)} {_quoted(was.get(name))} where {_quoted(is_now.get(name))} is asked for"
        for name in {**was, **is_now}
        if was.get(name) != is_now.get(name)
    ]


def _quoted(value: object) -> str:
    return printable(str(value), _QUOTED)


def flat(config: Config) -> dict[str, Any]:
    """All settings by name, those of the source as ``source.conditional.sigma``."""
    return dict(_flattened(config.model_dump()))


def short_digest(config: Config) -> str:
    """Six hex digits that tell configurations apart, the same on every machine.

    A field at its default does not count, so a field that is added later changes none of them.
    """
    values = config.model_dump(mode="json", exclude_defaults=True)
    return sha256(json.dumps(values, sort_keys=True).encode())[:6]


def _flattened(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
