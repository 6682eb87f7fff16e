"""The record of the data set of a submission, from which latents and images can be made again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from benchmark.leaderboard.record import Digest, Fingerprint, Record, Seed, explained, shown
from threedident.storage.folder import MOST_ROWS
from threedident.storage.manifest import Manifest

LEAST_TEST_ROWS = 1000  # with fewer rows, scores are imprecise and codes are easy to invent
MOST_EDGE = 512  # pixels; images are rendered again for every season


class SplitDigests(Record):
    """Digests of the images of both splits: the ``sums`` of their manifests."""

    train: Digest
    test: Digest


class DataRecord(Record):
    """The data set of training and scoring, described by its manifests.

    Arguments:
        id: name of the data set on the leaderboard, which follows from the other fields.
        hue_mode: conversion of hue angles into colours.
        space: space of the latents.
        material: material of the object and the ground.
        seed: seed of all latents.
        n_train: number of rows of the train split.
        n_test: number of rows of the test split.
        resolution: edge of the rendered images in pixels.
        quality: quality of rendering.
        device: device of the renderer Cycles.
        blender: version of Blender.
        fingerprint: fingerprint of the renderer.
        digests: digests of the images of both splits.
    """

    id: str
    hue_mode: Literal["wrapped", "published"]
    space: Literal["box"]
    material: Literal["rubber", "metal"]
    seed: Seed
    n_train: Annotated[int, Field(gt=0, le=MOST_ROWS)]
    n_test: Annotated[int, Field(ge=LEAST_TEST_ROWS, le=MOST_ROWS)]
    resolution: Annotated[int, Field(gt=0, le=MOST_EDGE)]
    quality: Literal["paper", "standard", "draft"]
    device: Annotated[str, Field(pattern=r"^[a-z]{1,20}$")]
    blender: Annotated[str, Field(pattern=r"^[0-9.]{1,20}$")]
    fingerprint: Fingerprint
    digests: SplitDigests

    @model_validator(mode="after")
    def _check_id(self) -> DataRecord:
        if self.id != self.name():
            raise ValueError(
                f"expected the id {self.name()}, which follows from the settings, found "
                f"{shown(self.id)}; correct one of them"
            )
        return self

    def name(self) -> str:
        """The id that follows from the settings. Default settings are left out."""
        parts = [
            "3dident",
            "" if self.hue_mode == "wrapped" else f"{self.hue_mode}-hue",
            "" if self.material == "rubber" else self.material,
            "" if self.quality == "standard" else self.quality,
            f"{self.resolution}px",
            f"{self.n_train // 1000}k" if self.n_train % 1000 == 0 else str(self.n_train),
            "" if self.seed == 0 else f"seed{self.seed}",
        ]
        return "-".join(part for part in parts if part)


def describe_data(train: Manifest, test: Manifest) -> DataRecord:
    """The record of a data set from the manifests of its splits.

    Raises:
        ValueError: its latents cannot be drawn again from a seed, or it is too small to score on.
    """
    for manifest in (train, test):
        origin = manifest.origin
        if origin.seed is None or origin.rows or origin.space != "box" or origin.fixed:
            raise ValueError(
                f"data: expected latents drawn from the box by a seed, found others in the "
                f"{manifest.split} split; render a data set without --latents, --space and --fix"
            )
    rendering, seed = test.rendering, test.origin.seed
    if train.origin.seed != seed:
        raise ValueError(
            f"data: expected one seed for both splits, found {train.origin.seed} for train and "
            f"{seed} for test; render one data set"
        )
    values: dict[str, Any] = {
        **rendering.model_dump(exclude={"annotations"}),
        "space": "box",
        "seed": seed,
        "n_train": train.n,
        "n_test": test.n,
        "digests": {"train": train.digests.sums, "test": test.digests.sums},
    }
    name = DataRecord.model_construct(**values, id="").name()
    try:
        return DataRecord(id=name, **values)
    except ValidationError as error:
        raise ValueError(f"data: {explained(error)}; render another data set") from None


def track_name(data: str, supervision: str) -> str:
    """The name of the track of a data set and a kind of supervision."""
    return f"{data} / {supervision}"
