"""Settings of the sources: data, latents and pairs of a run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from benchmark.option import CUSTOM, Option, of_images
from threedident.conditionals.law import Law
from threedident.latents.factor_set import FactorSet
from threedident.latents.factors import NAMES
from threedident.runtime.records import Frozen
from threedident.storage.manifest import MOST_PIXELS, Material

MOST_ANCHORS = 10**7
MOST_FRAMES = 10**6  # between the two images of a pair
MOST_CODES = 2**16
MOST_NUMBERS = 10**7  # along an axis of an observation
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
        space: latent space of the data set.
        factors: names of the factors that are encoded and scored.
        positive_material: material of rendered positives if it is not that of their anchors.
        rule: rule of nearest or rendered pairs, see
            :mod:`threedident.conditionals.rules.spelling`; None if one law describes them.
    """

    kind: Literal["images"] = "images"
    pairs: Literal["nearest", "rendered", "augmented"] | None
    anchor: Annotated[
        Literal["row", "marginal"] | None,
        Option(
            "Pairs",
            "Nearest pairs: anchors are rows of the data, or drawn as published [default: row; "
            "published protocol marginal].",
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
    space: str = "box"
    factors: tuple[str, ...] = NAMES
    rule: str | None = None
    positive_material: Material | None = None

    @model_validator(mode="after")
    def _check_factors(self) -> ImageSettings:
        _ = self.factor_set  # raises for names that do not exist
        return self

    @property
    def factor_set(self) -> FactorSet:
        """The factors that are encoded and scored."""
        return FactorSet(self.space, self.factors)


class MixingSettings(Frozen):
    """Settings of a source of latents that are mixed by a random MLP.

    Arguments:
        factors: number n of latents.
        space: ``box`` [0, 1]^n, ``sphere`` or ``real``.
        marginal: name of p(z), see :class:`threedident.conditionals.marginal.Marginal`.
        conditional: law of the positives; None for supervised training, or if a rule gives them.
        rule: rule of the positives, see :mod:`threedident.conditionals.rules.spelling`; None if
            one law describes them.
        anchor_rows: number of distinct anchors; None for new ones in every step.
    """

    kind: Literal["mixing"] = "mixing"
    factors: Annotated[int, Field(gt=1, le=MOST_LATENTS)]
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
    rule: str | None = None
    anchor_rows: Annotated[
        int | None,
        Field(gt=1, le=MOST_ANCHORS),
        Option(
            "Pairs",
            "Mixing: number of distinct anchors [default: new ones in every step].",
            {"mixing": None},
            contrastive=True,
        ),
    ] = None


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


class Observations(Frozen):
    """The observations of a source and their factors, for use without the data.

    Arguments:
        shape: shape of one observation.
        labels: names of the factors.
        codes: number of codes of an encoder.
        sphere: number of the last codes, which encode a point on a sphere.
    """

    shape: Annotated[tuple[Annotated[int, Field(gt=0, le=MOST_NUMBERS)], ...], Field(min_length=1)]
    labels: Annotated[tuple[str, ...], Field(min_length=1)]
    codes: Annotated[int, Field(gt=0, le=MOST_CODES)]
    sphere: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _check_counts(self) -> Observations:
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("labels should differ")
        if self.codes < len(self.labels) or self.sphere > self.codes:
            raise ValueError("codes should not be fewer than labels or those on a sphere")
        return self


class CustomSettings(Frozen):
    """Settings of a source of users.

    Arguments:
        name: import path of the class or function, or the name of an entry point.
        data: digest of the text with which the source identifies its scored split, see
            :attr:`benchmark.sources.source.Source.identity`.
        observed: shape of observations, and names of the factors.
        source_option: arguments of the source, as ``name=value``; None if there are none.
    """

    kind: Literal["custom"] = "custom"
    name: str
    data: str
    observed: Observations
    source_option: Annotated[
        tuple[str, ...] | None,
        Option(
            "Data",
            "An argument of a source of your own, as name=value; may be repeated.",
            {CUSTOM: None},
        ),
    ] = None
