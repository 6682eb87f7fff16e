"""The configuration of a run: all settings with their resolved values, stored with the results."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from benchmark.option import CUSTOM, Option, of_images
from benchmark.settings import CustomSettings, ImageSettings, MaskSettings, MixingSettings
from threedident.latents.philox import SEEDS
from threedident.runtime.records import Frozen

LARGEST = float(np.finfo(np.float32).max)  # models compute in float32
MOST_STEPS = 10**9
MOST_PAIRS = 10**6  # per step
Positive = Annotated[float, Field(gt=0, le=LARGEST, allow_inf_nan=False)]
MOST_WIDTH = 2**16  # of a layer
Width = Annotated[int, Field(gt=0, le=MOST_WIDTH)]


class Config(Frozen):
    """All settings that affect the results of a run, except software and hardware.

    Arguments:
        source: settings of the data and of the pairs.
        encoder: name of the encoder, or its import path.
        loss: name of the loss, see :mod:`benchmark.losses.catalogue`.
        output_space: name of the space that contains the codes.
        extent: side of the box or radius of the sphere; the initial value if it is learned.
        temperature: temperature of the similarities; None for losses without a similarity.
        symmetric: True if positives are also anchors, as in SimCLR.
        learned_scales: True if the similarity weights coordinates by learned numbers.
        steps: number of optimiser steps.
        batch_size: pairs per step, over all ranks.
        learning_rate: maximum of Adam's learning rate.
        schedule: name of the decrease of the learning rate, see
            :func:`benchmark.training.schedules.factor`.
        warmup: number of steps in which the learning rate rises.
        precision: precision of the encoder; codes and loss have at least float32.
        eval_every: steps between two scores on the test split.
        protocol: protocol of training and scoring, see :mod:`benchmark.protocol`.
        seeds: seeds; each one is one training.
        estimator: name of the loss of the similarities, see
            :data:`benchmark.losses.catalogue.ESTIMATORS`; None for InfoNCE.
        loss_option: arguments of the loss, each as ``name=value``, or None.
        codes: number of codes; None for that of the source.
        features: number of features, which the head maps to codes; None for that of the encoder.
        projector: hidden widths of the head; None for one linear layer.
        score_on: split that is scored.
        protocol_version: version of the published protocol, see
            :data:`benchmark.protocol.VERSION`; 1 in runs without this field.
        supervised: True if a loss that is a plugin reads latents.
    """

    source: Annotated[
        ImageSettings | MixingSettings | MaskSettings | CustomSettings, Field(discriminator="kind")
    ]
    encoder: Annotated[
        str,
        Option(
            "Model",
            "Network: {names}, a trained one of the zoo as zoo:NAME, or one of your own as "
            "my_pkg.nets:MyNet [default: resnet18; mixing and your own source mlp; kitti conv, by "
            "the published protocol kitti-conv].",
            {**of_images("resnet18"), "mixing": "mlp", "kitti": "conv", CUSTOM: "mlp"},
        ),
    ]
    loss: Annotated[
        str,
        Option(
            "Training",
            "{names}, lP with an exponent such as l1.5, or one of your own as my_pkg.losses:Mine "
            "[default: l2; augmented dot; kitti l1].",
            {**of_images("l2"), "augmented": "dot", "mixing": "l2", "kitti": "l1", CUSTOM: "l2"},
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
            "[default: 1; box 10, by the published protocol 1].",
        ),
    ]
    temperature: Annotated[
        Positive | None,
        Option(
            "Training", "Temperature, which divides similarities [default: 1].", similarity=True
        ),
    ]
    symmetric: Annotated[
        bool,
        Option(
            "Training",
            "Use positives as anchors, too, as in SimCLR.",
            default=False,
            similarity=True,
        ),
    ]
    learned_scales: Annotated[
        bool,
        Option(
            "Training",
            "Learn a weight for each coordinate in the loss.",
            default=False,
            similarity=True,
        ),
    ]
    steps: Annotated[
        int,
        Field(ge=0, le=MOST_STEPS),
        Option(
            "Training",
            "Training steps; 0 scores the untrained encoder [default: the paper's].",
            {**of_images(30_000), "mixing": 300_003, "kitti": 300_000, CUSTOM: 30_000},
        ),
    ]
    batch_size: Annotated[
        int,
        Field(gt=1, le=MOST_PAIRS),
        Option(
            "Training",
            "Pairs per step, over all ranks [default: the paper's].",
            # the paper's 64 of kitti counts images
            {**of_images(512), "mixing": 6144, "kitti": 32, CUSTOM: 512},
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
            "Train and score as we do, or as the published code did. Then these remain ours: hues "
            "(see render --hue), the random numbers, which rows are scored, bounds on the draws "
            "of g, MCC of KITTI without columns of noise, BatchNorm over all GPUs.",
            default="held-out",
        ),
    ]
    seeds: Annotated[
        tuple[Annotated[int, Field(ge=0, lt=SEEDS)], ...],
        Field(min_length=1),
        Option("Run", "Seeds by commas, such as 0,1,2; one training each [default: 0].", (0,)),
    ]
    estimator: Annotated[
        Literal["info-nce", "decoupled", "nce", "spectral", "nwj"] | None,
        Option(
            "Training", "Loss that compares the similarities [default: info-nce].", similarity=True
        ),
    ] = None
    loss_option: Annotated[
        tuple[str, ...] | None,
        Option("Training", "An argument of the loss, as name=value; may be repeated."),
    ] = None
    codes: Annotated[
        Width | None,
        Option("Model", "Number of codes [default: that of the factors; kitti 10]."),
    ] = None
    features: Annotated[
        Width | None,
        Option("Model", "Outputs of the layer before the last [default: that of the encoder]."),
    ] = None
    projector: Annotated[
        tuple[Width, ...] | None,
        Field(min_length=1),
        Option(
            "Model",
            "Hidden widths of an MLP in place of the last layer, such as 512,512 [default: none].",
        ),
    ] = None
    score_on: Annotated[
        Literal["test", "train"],
        Option(
            "Scoring",
            "Images and KITTI: split that is scored [default: test; published KITTI train].",
            {**of_images("test"), "kitti": "test"},
        ),
    ] = "test"
    protocol_version: Literal[1, 2] = 1
    supervised: bool = False
    metric: Annotated[
        tuple[str, ...],
        Option(
            "Scoring",
            "information, dci-trees, a metric of your own as package.module:Name, or one that a "
            "package offers; may be given again.",
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
