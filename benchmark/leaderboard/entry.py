"""Entries: the rows of the leaderboard, one JSON file each."""

from __future__ import annotations

import datetime
import json
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from benchmark.leaderboard.seasons import Hex, Secret, is_signed
from benchmark.leaderboard.statistics import SUSPICIOUS
from benchmark.leaderboard.submission import (
    SCHEMA_VERSION,
    EntryId,
    Model,
    Submission,
    Supervision,
    check_version,
    track_name,
)
from benchmark.leaderboard.texts import Link, LongText, Text, explained
from benchmark.metrics import Scores
from threedident.factors import FACTORS
from threedident.storage import sha256

Level = Literal["reported", "recomputed", "re-executed", "retrained"]
LEVELS: tuple[Level, ...] = ("reported", "recomputed", "re-executed", "retrained")
_N = len(FACTORS)
_DIGITS = 6
_Number = Annotated[float, Field(le=1)]
_Correlation = Annotated[float, Field(ge=-1, le=1)]
_PerFactor = Annotated[tuple[_Number, ...], Field(min_length=_N, max_length=_N)]
_Row = Annotated[tuple[_Correlation, ...], Field(min_length=_N, max_length=_N)]
_Matrix = Annotated[tuple[_Row, ...], Field(min_length=_N, max_length=_N)]


class SeedScores(Model):
    """Scores of one seed, from the official scorer."""

    seed: Annotated[int, Field(ge=0)]
    r2: _Number
    mcc: _Number
    mcc_spearman: _Number
    r2_per_factor: _PerFactor
    mcc_per_factor: _PerFactor

    @classmethod
    def of(cls, seed: int, scores: Scores) -> Self:
        """The part of ``scores`` that an entry keeps, to six digits."""
        values = scores.to_json()
        kept = {name: rounded(values[name]) for name in cls.model_fields if name != "seed"}
        return cls(seed=seed, **kept)


class GapRecord(Model):
    """How far a score fell from the public split to the fresh one, mean over seeds."""

    difference: float
    standard_error: Annotated[float, Field(ge=0)]

    @property
    def suspicious(self) -> bool:
        """Whether the fall is more than chance explains: past three standard errors."""
        return self.difference > SUSPICIOUS * self.standard_error


class Verification(Model):
    """What was found on images that did not exist when the encoder was trained.

    Arguments:
        level: ``re-executed``, or ``retrained`` where the code was trained again as well.
        date: of the verification.
        commitment: of the season's secret.
        public_key: of the season.
        rows: of the fresh split.
        fingerprint: of the renderer that drew it.
        tolerance: between batches, and of recomputed scores.
        fresh: scores of every seed on the fresh split.
        gap: public minus fresh.
        retrained: scores on the fresh split of encoders trained again, where they were.
    """

    level: Literal["re-executed", "retrained"]
    date: datetime.date
    commitment: Hex
    public_key: Hex
    rows: Annotated[int, Field(gt=0)]
    fingerprint: str
    tolerance: float
    fresh: tuple[SeedScores, ...]
    gap: dict[Literal["r2", "mcc"], GapRecord]
    retrained: tuple[SeedScores, ...] | None = None

    @model_validator(mode="after")
    def _check_level(self) -> Verification:
        if (self.level == "retrained") != (self.retrained is not None):
            raise ValueError("expected scores of a second training with level retrained alone")
        if set(self.gap) != {"r2", "mcc"}:
            raise ValueError("expected the gaps of r2 and mcc")
        return self


class Entry(Model):
    """A row that we recomputed at least.

    Arguments:
        submission: what was submitted.
        scores: on the public test split, from the submitted representations.
        correlation: of factors and codes of the first seed, (10, 10), signed.
        verification: what was found on a fresh split.
        signature: of all the rest, by the key of the season.
    """

    schema_version: Literal[1] = 1
    kind: Literal["submission"] = "submission"
    submission: Submission
    scores: tuple[SeedScores, ...]
    correlation: _Matrix
    verification: Verification | None = None
    signature: str | None = None

    @model_validator(mode="after")
    def _check_whole(self) -> Entry:
        seeds = [record.seed for record in self.submission.seeds]
        fresh = [] if self.verification is None else [self.verification.fresh]
        for scores in (self.scores, *fresh):
            if [each.seed for each in scores] != seeds:
                raise ValueError(f"expected scores of the seeds {seeds} in order")
        if (self.verification is None) != (self.signature is None):
            raise ValueError("expected a signature with a verification, and none without")
        if self.verification is not None and not is_signed(
            self.content(), self.signature or "", self.verification.public_key
        ):
            raise ValueError("expected the signature of this row, found that of another")
        return self

    @property
    def id(self) -> str:
        """The name of its file."""
        return self.submission.id

    @property
    def level(self) -> Level:
        """How far it was checked."""
        return "recomputed" if self.verification is None else self.verification.level

    @property
    def track(self) -> str:
        """What rows must share to be compared."""
        return self.submission.track

    @property
    def supervision(self) -> Supervision:
        """What training knew beside images."""
        return self.submission.supervision

    def content(self) -> bytes:
        """What is signed."""
        values = self.model_dump(mode="json", exclude={"signature"}, exclude_none=True)
        return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()

    def verified(self, verification: Verification, secret: Secret) -> Entry:
        """The row with a verification, signed."""
        row = self.model_construct(
            **{name: getattr(self, name) for name in type(self).model_fields}
            | {"verification": verification, "signature": None}
        )
        return Entry.model_validate(row.model_dump() | {"signature": secret.sign(row.content())})


class Figure(Model):
    """A figure of a paper: mean and standard deviation over its seeds."""

    mean: _Number
    sd: Annotated[float, Field(ge=0)] | None = None


class Reported(Model):
    """A row of a paper, of which nothing could be checked here.

    Arguments:
        id: the name of its file.
        method: its name.
        paper: its link.
        data: the data set's name.
        supervision: what training knew beside images.
        seeds: how many there were.
        r2: on the test split.
        mcc: on the test split.
    """

    schema_version: Literal[1] = 1
    kind: Literal["reported"] = "reported"
    id: EntryId
    method: Text
    paper: Link
    data: Text
    supervision: Supervision
    seeds: Annotated[int, Field(gt=0)]
    r2: Figure | None = None
    mcc: Figure | None = None

    @property
    def level(self) -> Level:
        """Nothing of it was checked."""
        return "reported"

    @property
    def track(self) -> str:
        """What rows must share to be compared."""
        return track_name(self.data, self.supervision)


Row = Entry | Reported


class Change(Model):
    """Something that happened to a row beside its arrival.

    Arguments:
        date: when.
        entry: its id.
        change: what.
        reason: why, for everybody to read.
    """

    date: datetime.date
    entry: EntryId
    change: Literal["removed", "corrected"]
    reason: LongText


_ROWS: TypeAdapter[Row] = TypeAdapter(Annotated[Row, Field(discriminator="kind")])


def read_row(content: bytes, place: str) -> Row:
    """The row in a file's content.

    Raises:
        ValueError: it is none, or its signature is another row's.
    """
    check_version(content, place)
    try:
        return _ROWS.validate_json(content)
    except ValidationError as error:
        raise ValueError(
            f"{place}: expected an entry of schema version {SCHEMA_VERSION}, but "
            f"{explained(error)}"
        ) from None


def row_bytes(row: Row) -> bytes:
    """The content of a row's file."""
    return (row.model_dump_json(indent=2, exclude_none=True) + "\n").encode()


def same_submission(row: Row, submission: Submission) -> bool:
    """Whether a row is of this very submission."""
    return isinstance(row, Entry) and digest(row.submission) == digest(submission)


def digest(submission: Submission) -> str:
    """Identifies all that was submitted: the record names every file by its digest."""
    return sha256(submission.model_dump_json().encode())


def rounded(values: ArrayLike) -> Any:
    """Scores as entries keep them, six digits after the point, as numbers and lists."""
    return np.round(np.asarray(values, np.float64), _DIGITS).tolist()
