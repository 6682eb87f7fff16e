"""What a submission says of itself: ``submission.json``."""

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
SEEDS = (0, 1, 2)  # fixed in advance, so that none can be picked afterwards

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
        mcc_spearman: the same of ranks.
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
    """One training.

    Arguments:
        seed: of :data:`SEEDS`.
        steps: optimiser steps.
        digests: of its files.
        claim: its scores.
        hardware: what it was trained on, in words.
        wall_time_s: how long, in seconds.
    """

    seed: Seed
    steps: Annotated[int, Field(ge=0, le=10**12)]
    digests: FileDigests
    claim: Claim
    hardware: LongText | None = None
    wall_time_s: Annotated[float, Field(ge=0, le=1e10)] | None = None


class Facts(Record):
    """What only the submitter knows.

    Arguments:
        date: of the submission.
        method: its name.
        paper: where it is described.
        code: where it can be had.
        licence: of the encoder and the representations, as an SPDX identifier.
        submitter: who answers for it.
        external_data: whether training saw images beside the train split.
        pretrained: whether it began with weights from elsewhere.
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
        """The id that is made of them."""
        return f"{self.date}_{slug(self.method)}"


class Submission(Facts):
    """``submission.json``: :class:`Facts` and all the rest.

    Arguments:
        schema_version: of this file.
        protocol_version: of scoring; 1 is the held-out protocol in eval mode.
        id: the folder's name, ``<date>_<slug>``.
        trainer: ``threedident`` where its benchmark trained the encoders, whose configurations
            must then be its own and fit; ``own`` for other code, whose may be anything. Rows of
            before there was such a field have none.
        supervision: what training knew beside images: ``none``, positive ``pairs`` that the
            latents made, ``augmentations``, or the latents themselves, ``full``.
        uses_train_latents: whether training read latents, as targets or to find pairs.
        command: how to train it again.
        data: the data set.
        input_resolution: edge of the images that the encoder takes, in pixels; larger ones are
            made smaller as ``ThreeDIdent(resolution=...)`` does.
        seeds: in order, all that there are.
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
        """The content of its file."""
        return (self.model_dump_json(indent=2, exclude_none=True) + "\n").encode()

    @property
    def track(self) -> str:
        """What rows must share to be compared."""
        return track_name(self.data.id, self.supervision)


def read_submission(content: bytes, place: str) -> Submission:
    """The submission in a file's content.

    Arguments:
        content: JSON.
        place: what messages call it.

    Raises:
        ValueError: it is none, or one of another version.
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
    """The facts that a submitter gave.

    Raises:
        ValueError: one is not to be shown; the message names it.
    """
    try:
        return Facts(**values)
    except ValidationError as error:
        raise ValueError(
            f"submission: expected its facts as asked for, but {explained(error)}"
        ) from None


def check_version(content: bytes, place: str) -> None:
    """Refuse JSON that is damaged or of another schema version.

    Raises:
        ValueError: it is.
    """
    values = parse_json(content, place)
    version = values.get("schema_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ValueError(
            f"{place}: expected schema version {SCHEMA_VERSION}, found {shown(version)}, which is "
            "newer; upgrade threedident"
        )
