"""The record ``submission.json``, in which a submission describes itself."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError, model_validator

from benchmark.leaderboard.record import (
    Date,
    Digest,
    Link,
    LongText,
    Record,
    Seed,
    Text,
    explained,
    parse_json,
    shown,
    slug,
)
from benchmark.leaderboard.submission.data import DataRecord, track_name
from threedident.storage.manifest import MOST_PIXELS

SCHEMA_VERSION: Literal[1] = 1
PROTOCOL_VERSION: Literal[1] = 1
TRAINER: Literal["threedident"] = "threedident"
SEEDS = (0, 1, 2)  # fixed in advance, so that nobody can choose the best seeds later

Supervision = Literal["none", "pairs", "augmentations", "full"]

_ID = r"\d{4}-\d{2}-\d{2}_[a-z0-9]+(-[a-z0-9]+)*"
_Correlation = Annotated[float, Field(ge=0, le=1)]
_DATE: TypeAdapter[datetime.date] = TypeAdapter(Date)


def _dated(text: str) -> str:
    _DATE.validate_python(datetime.date.fromisoformat(text[:10]))
    return text


EntryId = Annotated[str, Field(pattern=f"^{_ID}$", max_length=80), AfterValidator(_dated)]


class Claim(Record):
    """Scores on the test split, as the submitter computed them.

    Arguments:
        r2: mean R^2 over the factors.
        mcc: mean correlation coefficient, Pearson.
        mcc_spearman: mean correlation coefficient, Spearman.
    """

    r2: Annotated[float, Field(le=1)]
    mcc: _Correlation
    mcc_spearman: _Correlation


class FileDigests(Record):
    """SHA-256 of the files of one seed."""

    representations: Digest
    config: Digest
    encoder: Digest


class SeedRecord(Record):
    """The record of one training.

    Arguments:
        seed: one of :data:`SEEDS`.
        steps: number of optimiser steps.
        digests: digests of its files.
        claim: claimed scores.
        hardware: description of the hardware of the training.
        wall_time_s: wall time of the training in seconds.
    """

    seed: Seed
    steps: Annotated[int, Field(ge=0, le=10**12)]
    digests: FileDigests
    claim: Claim
    hardware: LongText | None = None
    wall_time_s: Annotated[float, Field(ge=0, le=1e10)] | None = None


class Facts(Record):
    """Facts that only the submitter knows.

    Arguments:
        date: date of the submission.
        method: name of the method.
        paper: link to a page or paper that describes the method.
        code: link to the code.
        licence: licence of the encoder and the representations, as an SPDX identifier.
        submitter: person or group who submits it.
        external_data: true if training used images other than the train split.
        pretrained: true if training began with pretrained weights.
    """

    date: Date
    method: Text
    paper: Link | None = None
    code: Link | None = None
    licence: Text | None = None
    submitter: Text | None = None
    external_data: bool
    pretrained: bool

    def new_id(self) -> str:
        """The id of a new submission with these facts: ``<date>_<slug of the method>``."""
        return f"{self.date}_{slug(self.method)}"


class Submission(Facts):
    """The content of ``submission.json``: :class:`Facts` and these fields.

    Arguments:
        schema_version: version of the format of this file.
        protocol_version: version of the protocol of scoring; 1 is the held-out protocol in eval
            mode.
        id: name of the folder, ``<date>_<slug>``.
        trainer: ``threedident`` if its benchmark trained the encoders; then the configurations
            must be configurations of the benchmark and agree with this file. ``own`` for other
            code; then the configurations may be any JSON. Old rows do not have this field.
        supervision: information in training beside images: ``none``, positive ``pairs`` that
            were made from latents, ``augmentations``, or ``full`` for the latents themselves.
        uses_train_latents: true if training read latents, as targets or to find pairs.
        command: command that trains it again.
        data: the data set.
        input_resolution: edge of the input images of the encoder, in pixels. Larger images are
            reduced as by ``ThreeDIdent(resolution=...)``.
        seeds: records of all seeds, in order.
    """

    schema_version: Literal[1]
    protocol_version: Literal[1]
    id: EntryId
    trainer: Literal["threedident", "own"] | None = None
    supervision: Supervision
    uses_train_latents: bool
    command: LongText
    data: DataRecord
    input_resolution: Annotated[int, Field(gt=0, le=MOST_PIXELS)]
    seeds: Annotated[tuple[SeedRecord, ...], Field(min_length=1, max_length=len(SEEDS))]

    @model_validator(mode="after")
    def _check_whole(self) -> Submission:
        if not self.id.startswith(f"{self.date}_"):
            raise ValueError(
                f"expected an id that begins with the date {self.date}, found {self.id}"
            )
        found = tuple(record.seed for record in self.seeds)
        if found != SEEDS[: len(found)]:
            raise ValueError(
                f"expected the seeds {', '.join(map(str, SEEDS))} from the first on, found "
                f"{', '.join(map(str, found))}; train those that are missing"
            )
        for name in ("encoder", "representations"):
            digests = [getattr(record.digests, name) for record in self.seeds]
            if len(set(digests)) < len(digests):
                raise ValueError(f"expected an {name} of its own for each seed, found one twice")
        if self.input_resolution > self.data.resolution:
            raise ValueError(
                f"expected an input_resolution of at most {self.data.resolution}, that of the "
                f"images, found {self.input_resolution}"
            )
        if self.supervision == "full" and not self.uses_train_latents:
            raise ValueError(
                "expected uses_train_latents true with supervision full, found false; correct one"
            )
        return self

    def content(self) -> bytes:
        """The content of the file ``submission.json``."""
        return (self.model_dump_json(indent=2, exclude_none=True) + "\n").encode()

    @property
    def track(self) -> str:
        """The track of the submission; only rows of one track are compared."""
        return track_name(self.data.id, self.supervision)


def read_submission(content: bytes, place: str) -> Submission:
    """The submission in the content of a file.

    Arguments:
        content: JSON text.
        place: name of the file in messages.

    Raises:
        ValueError: the content is not a valid submission, or has another version.
    """
    check_version(content, place)
    try:
        return Submission.model_validate_json(content)
    except ValidationError as error:
        raise ValueError(
            f"{place}: expected a submission of schema version {SCHEMA_VERSION}, but "
            f"{explained(error)}"
        ) from None


def read_facts(**values: Any) -> Facts:
    """The facts given by a submitter, after checks.

    Raises:
        ValueError: a fact is not valid; the message names it.
    """
    try:
        return Facts(**values)
    except ValidationError as error:
        raise ValueError(f"submission: expected valid facts, but {explained(error)}") from None


def check_version(content: bytes, place: str) -> None:
    """Check that a JSON text is valid and does not have a newer schema version.

    Raises:
        ValueError: the text is damaged, or its schema version is newer.
    """
    values = parse_json(content, place)
    version = values.get("schema_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ValueError(
            f"{place}: expected schema version {SCHEMA_VERSION}, found {shown(version)}, which is "
            "newer; upgrade threedident"
        )
