"""The configuration of a run: all settings with their resolved values, stored with the results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from benchmark.option import Option, of_images
from threedident.conditionals.law import Law
from threedident.latents.philox import SEEDS
from threedident.runtime.errors import printable
from threedident.runtime.files import sha256
from threedident.runtime.records import Frozen
from threedident.storage.manifest import MOST_PIXELS

_QUOTED = 80  # characters of a value in a message
LARGEST = float(np.finfo(np.float32).max)  # models compute in float32
MOST_STEPS = 10**9
MOST_PAIRS = 10**6  # per step
MOST_FRAMES = 10**6  # between the two images of a pair
Positive = Annotated[float, Field(gt=0, le=LARGEST, allow_inf_nan=False)]
MOST_LATENTS = 100  # with more, the mixing function would take minutes to draw


class ImageSettings(Frozen):
    """Settings of a source of rendered images.

    Arguments:
        pairs: kind of positive pairs; None for supervised training.
        anchor: for nearest pairs, ``row`` if anchors are rows of the data set, ``marginal`` if
            they are drawn from the marginal.
        conditional: law of nearest pairs, or the law that rendered pairs were drawn from if it
            has one scale for all factors.
        data: digests of the images of both splits, as recorded in the manifests.
        resolution: edge of the images in pixels.
        numbering: version of the numbering of pairs, see
            :data:`threedident.pairs.epochs.NUMBERING`; 1 in runs without this field.
    """

    kind: Literal["images"] = "images"
    pairs: Literal["nearest", "rendered", "augmented"] | None
    anchor: Annotated[
        Literal["row", "marginal"] | None,
        Option(
            "Pairs",
            "Nearest pairs: anchors are rows of the data, or drawn as published [default: row].",
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
    """Settings of a source of latents that are mixed by a random MLP.

    Arguments:
        factors: number n of latents.
        space: ``box`` [0, 1]^n, ``sphere`` or ``real``.
        marginal: name of p(z), see :class:`benchmark.sources.mixing.Marginal`.
        conditional: law of the positives; None for supervised training.
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
    """Settings of the source KITTI Masks.

    Arguments:
        data: digest of the file.
        max_distance: largest number of frames from an anchor to its positive.
        paired: True for training on pairs, False for supervised training.
        numbering: version of the numbering of pairs, see :class:`ImageSettings`.
    """

    kind: Literal["kitti"] = "kitti"
    data: str
    max_distance: Annotated[
        int,
        Field(gt=0, le=MOST_FRAMES),
        Option(
            "Pairs",
            "KITTI: largest distance of the two frames of a pair [default: 1].",
            {"kitti": 1},
            contrastive=True,
        ),
    ]
    paired: bool
    numbering: int = 1


class Config(Frozen):
    """All settings that affect the results of a run, except software and hardware.

    Arguments:
        source: settings of the data and of the pairs.
        encoder: name of the encoder, or its import path.
        loss: name of the loss, see :func:`benchmark.losses.match.parse_loss`.
        output_space: name of the space that contains the codes.
        extent: side of the box or radius of the sphere; the initial value if it is learned.
        temperature: temperature of InfoNCE; None for the supervised loss.
        symmetric: True if positives are also anchors, as in SimCLR.
        learned_scales: True if the similarity weights coordinates by learned numbers.
        steps: number of optimiser steps.
        batch_size: pairs per step, over all ranks.
        learning_rate: maximum of Adam's learning rate.
        schedule: name of the decrease of the learning rate, see
            :func:`benchmark.training.loop.factor`.
        warmup: number of steps in which the learning rate rises.
        precision: precision of the encoder; codes and loss have at least float32.
        eval_every: steps between two scores on the test split.
        protocol: protocol of scoring, see :mod:`benchmark.training.evaluation`.
        seeds: seeds; each one is one training.
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
        str, Option("Model", "Space of the codes [default: the one that fits the loss].")
    ]
    extent: Annotated[
        Positive | None,
        Option(
            "Model",
            "Side of the box or radius of the sphere; the initial value if it is learned "
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
            "Use positives as anchors, too, as in SimCLR.",
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
            "Pairs per step, over all ranks [default: the paper's].",
            {**of_images(512), "mixing": 6144, "kitti": 32},  # the paper's 64 counts images
        ),
    ]
    learning_rate: Annotated[
        Positive, Option("Training", "Learning rate of Adam [default: 1e-4].", 1e-4)
    ]
    schedule: Annotated[
        Literal["constant", "cosine", "linear"],
        Option("Training", "Course of the learning rate after the warm-up.", default="constant"),
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
            "Score the whole test split, or as published: 4096 rows, BatchNorm of the batch.",
            default="held-out",
        ),
    ]
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=SEEDS)], ...],
        Field(min_length=1),
        Option("Run", "Seeds by commas, such as 0,1,2; one training each [default: 0].", (0,)),
    ]
    metric: Annotated[
        tuple[str, ...],
        Option(
            "Scoring",
            "A metric of your own as package.module:Name, or one that a package offers; may be "
            "given again.",
            default=(),
        ),
    ] = ()


def numbering(config: Config) -> int | None:
    """The version of the numbering of pairs; None for mixing, which has no epochs."""
    return getattr(config.source, "numbering", None)


def with_numbering(config: Config, number: int | None) -> Config:
    """The same configuration with another version of the numbering of pairs."""
    if numbering(config) is None or number is None:
        return config
    source = config.source.model_copy(update={"numbering": number})
    return config.model_copy(update={"source": source})


def differences(old: Config, new: Config) -> list[str]:
    """The differing fields of two configurations, as ``name old where new is asked for``."""
    return changes(flat(old), flat(new))


def changes(was: Mapping[str, Any], is_now: Mapping[str, Any]) -> list[str]:
    """The differing values of two sets of settings, as ``name old where new is asked for``."""
    return [
        f"{_quoted(name)} {_quoted(was.get(name))} where {_quoted(is_now.get(name))} is asked for"
        for name in {**was, **is_now}
        if was.get(name) != is_now.get(name)
    ]


def _quoted(value: object) -> str:
    return printable(str(value), _QUOTED)


def flat(config: Config) -> dict[str, Any]:
    """All settings by name; nested ones have names such as ``source.conditional.sigma``."""
    return dict(_flattened(config.model_dump()))


def short_digest(config: Config) -> str:
    """Six hex digits that identify a configuration, the same on every machine.

    Fields with their default value do not count, so a field added later changes no digest.
    """
    values = config.model_dump(mode="json", exclude_defaults=True)
    return sha256(json.dumps(values, sort_keys=True).encode())[:6]


def _flattened(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
