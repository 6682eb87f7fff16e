"""The record of the data set of a submission, from which latents and images can be made again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from benchmark.leaderboard.record import Digest, Fingerprint, Record, Seed, explained, shown
from threedident.latents.factor_set import FactorSet
from threedident.latents.factors import NAMES
from threedident.latents.sampling import sample_raw
from threedident.latents.spaces import find_space
from threedident.storage.folder import MOST_ROWS
from threedident.storage.manifest import Manifest

LEAST_TEST_ROWS = 1000  # with fewer rows, scores are imprecise and codes are easy to invent
MOST_EDGE = 512  # pixels; images are rendered again for every season
_MOST_ID = 200  # characters; folders are named by ids


def _held(fixed: dict[str, float]) -> dict[str, float]:
    return find_space("box").check_fixed(fixed, "fixed")


def _spelled(fixed: dict[str, float]) -> tuple[str, ...]:
    return tuple(f"{name}={str(value).removesuffix('.0')}" for name, value in fixed.items())


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
        fixed: raw value in [-1, 1] of each factor that is the same in all images. Such factors
            have no codes and no scores.
    """

    id: Annotated[str, Field(max_length=_MOST_ID)]
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
    fixed: Annotated[dict[str, float], AfterValidator(_held)] = Field(default_factory=dict)

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
            *self.held,
            "" if self.hue_mode == "wrapped" else f"{self.hue_mode}-hue",
            "" if self.material == "rubber" else self.material,
            "" if self.quality == "standard" else self.quality,
            f"{self.resolution}px",
            f"{self.n_train // 1000}k" if self.n_train % 1000 == 0 else str(self.n_train),
            "" if self.seed == 0 else f"seed{self.seed}",
        ]
        return "-".join(part for part in parts if part)

    @model_serializer(mode="wrap")
    def _leave_out_nothing_fixed(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The fields; without ``fixed`` if it is empty, as in records of earlier versions."""
        values: dict[str, Any] = handler(self)
        return values if self.fixed else {k: v for k, v in values.items() if k != "fixed"}

    @property
    def held(self) -> tuple[str, ...]:
        """The fixed factors as text, such as ``x=0.25``, in the order of the table of factors."""
        return _spelled(self.fixed)

    @property
    def factors(self) -> FactorSet:
        """The factors that vary. Each has one code."""
        return FactorSet(self.space, tuple(name for name in NAMES if name not in self.fixed))

    def test_latents(self, seed: int, n: int) -> NDArray[np.float32]:
        """Raw latents of a test split with the settings of this data set, shape (n, 10).

        Arguments:
            seed: seed of the split, which may be another than that of the data set.
            n: number of rows.
        """
        return sample_raw(seed, "test", n, self.space, self.fixed)


def describe_data(train: Manifest, test: Manifest) -> DataRecord:
    """The record of a data set from the manifests of its splits.

    Raises:
        ValueError: its latents cannot be drawn again from a seed, or it is too small to score on.
    """
    for manifest in (train, test):
        origin = manifest.origin
        if origin.space != "box":
            raise ValueError(
                f"data: expected latents of the box, found the {origin.space} space in the "
                f"{manifest.split} split; render a data set without --space"
            )
        if origin.seed is None or origin.rows:
            raise ValueError(
                f"data: expected latents drawn by a seed, found given rows in the "
                f"{manifest.split} split; render a data set without --latents"
            )
    rendering, seed, fixed = test.rendering, test.origin.seed, _held(test.origin.fixed)
    if train.origin.seed != seed:
        raise ValueError(
            f"data: expected one seed for both splits, found {train.origin.seed} for train and "
            f"{seed} for test; render one data set"
        )
    if train.origin.fixed != fixed:
        here, there = (", ".join(_spelled(f)) or "none" for f in (train.origin.fixed, fixed))
        raise ValueError(
            f"data: expected the same fixed factors in both splits, found {here} for train and "
            f"{there} for test; render one data set"
        )
    values: dict[str, Any] = {
        **rendering.model_dump(exclude={"annotations"}),
        "space": "box",
        "seed": seed,
        "n_train": train.n,
        "n_test": test.n,
        "digests": {"train": train.digests.sums, "test": test.digests.sums},
        "fixed": fixed,
    }
    name = DataRecord.model_construct(**values, id="").name()
    try:
        return DataRecord(id=name, **values)
    except ValidationError as error:
        raise ValueError(f"data: {explained(error)}; render another data set") from None


def track_name(data: str, supervision: str) -> str:
    """The name of the track of a data set and a kind of supervision."""
    return f"{data} / {supervision}"
