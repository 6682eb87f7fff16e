"""Entries: the rows of the leaderboard, one JSON file for each row."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError, model_validator

from benchmark.leaderboard.record import Date, Link, LongText, Record, Signature, Text, explained
from benchmark.leaderboard.sandbox.agreement import TOLERANCE
from benchmark.leaderboard.submission.data import track_name
from benchmark.leaderboard.submission.submission import (
    SCHEMA_VERSION,
    SEEDS,
    Claim,
    EntryId,
    Submission,
    Supervision,
    check_version,
)
from benchmark.leaderboard.verification.findings import (
    MOST_FACTORS,
    Alike,
    Number,
    SeedScores,
    Verification,
)
from benchmark.leaderboard.verification.secret import Secret, is_signed
from benchmark.metrics.correlation.correlations import assign_codes

Level = Literal["reported", "recomputed", "re-executed", "retrained"]
LEVELS: tuple[Level, ...] = ("reported", "recomputed", "re-executed", "retrained")
_Correlation = Annotated[float, Field(ge=-1, le=1)]
_Row = Annotated[tuple[_Correlation, ...], Field(min_length=1, max_length=MOST_FACTORS)]
_Matrix = Annotated[tuple[_Row, ...], Field(min_length=1, max_length=MOST_FACTORS)]


class Entry(Record):
    """A row that was at least recomputed.

    Arguments:
        submission: the submission.
        scores: scores on the public test split, from the submitted representations.
        correlation: correlation of factors and codes of the first seed, signed, shape (n, n) for
            the n factors that vary.
        alike: pairs of seeds that are not independent trainings, or None.
        verification: findings on a fresh split; None if not verified.
        signature: signature of all other fields with the key of the season.
    """

    schema_version: Literal[1] = 1
    kind: Literal["submission"] = "submission"
    submission: Submission
    scores: tuple[SeedScores, ...]
    correlation: _Matrix
    alike: tuple[Alike, ...] | None = None
    verification: Verification | None = None
    signature: Signature | None = None

    @model_validator(mode="after")
    def _check_whole(self) -> Entry:
        seeds = [record.seed for record in self.submission.seeds]
        fresh = [] if self.verification is None else [self.verification.fresh]
        for scores in (self.scores, *fresh):
            if [each.seed for each in scores] != seeds:
                raise ValueError(f"expected scores of the seeds {seeds} in order")
        self._check_factors()
        for record, found in zip(self.submission.seeds, self.scores, strict=True):
            for name in Claim.model_fields:
                if abs(getattr(found, name) - getattr(record.claim, name)) > 2 * TOLERANCE:
                    raise ValueError(f"expected the {name} that was claimed and checked")
        _, best = assign_codes(np.array(self.correlation))
        if np.abs(best - self.scores[0].mcc_per_factor).max() > 2 * TOLERANCE:
            raise ValueError("expected the correlations that give the first seed's mcc")
        if (self.verification is None) != (self.signature is None):
            raise ValueError("expected a signature with a verification, and none without")
        if self.verification is not None and not is_signed(
            self.content(), self.signature or "", self.verification.public_key
        ):
            raise ValueError("expected the signature of this row, found that of another")
        return self

    def _check_factors(self) -> None:
        """Check that all scores are of the factors that vary in the data set.

        Raises:
            ValueError: they are of more or fewer factors.
        """
        n, found = len(self.submission.data.factors.names), self.verification
        fresh = () if found is None else found.fresh
        again = () if found is None or found.retrained is None else found.retrained.fresh
        if any(len(each.r2_per_factor) != n for each in (*self.scores, *fresh, *again)):
            raise ValueError(f"expected scores of the {n} factors that vary in the data set")
        if [len(row) for row in self.correlation] != [n] * n:
            raise ValueError(f"expected correlations of {n} factors with {n} codes")

    @property
    def id(self) -> str:
        """The id of the row, which is the name of its file."""
        return self.submission.id

    @property
    def level(self) -> Level:
        """The level of the checks that it passed."""
        return "recomputed" if self.verification is None else self.verification.level

    @property
    def one_training(self) -> tuple[Alike, ...]:
        """Pairs of seeds that are not independent trainings, by codes, fresh codes or weights."""
        fresh = None if self.verification is None else self.verification.alike
        return (*(self.alike or ()), *(fresh or ()))

    @property
    def is_complete(self) -> bool:
        """True if the row has all seeds."""
        return len(self.scores) == len(SEEDS)

    @property
    def can_be_ranked(self) -> bool:
        """True if it was run on fresh images with all seeds, from independent trainings."""
        return self.verification is not None and self.is_complete and not self.one_training

    @property
    def track(self) -> str:
        """The track of the row; only rows of one track are compared."""
        return self.submission.track

    @property
    def supervision(self) -> Supervision:
        """The kind of supervision in training."""
        return self.submission.supervision

    def content(self) -> bytes:
        """The bytes that are signed."""
        values = self.model_dump(mode="json", exclude={"signature"}, exclude_none=True)
        return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()

    def verified(self, verification: Verification, secret: Secret) -> Entry:
        """The row with a verification and its signature."""
        row = self.model_construct(
            **{name: getattr(self, name) for name in type(self).model_fields}
            | {"verification": verification, "signature": None}
        )
        return Entry.model_validate(row.model_dump() | {"signature": secret.sign(row.content())})


class Figure(Record):
    """A figure of a paper: mean and standard deviation over its seeds."""

    mean: Number
    sd: Annotated[float, Field(ge=0, le=1e6)] | None = None


class Reported(Record):
    """A row of a paper. Nothing in it was checked here.

    Arguments:
        id: id of the row, which is the name of its file.
        method: name of the method.
        paper: link to the paper.
        data: name of the data set.
        supervision: kind of supervision in training.
        seeds: number of seeds.
        r2: R^2 on the test split.
        mcc: MCC on the test split.
    """

    schema_version: Literal[1] = 1
    kind: Literal["reported"] = "reported"
    id: EntryId
    method: Text
    paper: Link
    data: Text
    supervision: Supervision
    seeds: Annotated[int, Field(gt=0, le=10**6)]
    r2: Figure | None = None
    mcc: Figure | None = None

    @property
    def level(self) -> Level:
        """The level ``reported``, because nothing was checked."""
        return "reported"

    @property
    def track(self) -> str:
        """The track of the row; only rows of one track are compared."""
        return track_name(self.data, self.supervision)


Row = Entry | Reported


class Change(Record):
    """A removal or correction of a row.

    Arguments:
        date: date of the change.
        entry: id of the row.
        change: kind of the change.
        reason: reason, which the page shows.
    """

    date: Date
    entry: EntryId
    change: Literal["removed", "corrected"]
    reason: LongText


_ROWS: TypeAdapter[Row] = TypeAdapter(Annotated[Row, Field(discriminator="kind")])


def read_row(content: bytes, place: str) -> Row:
    """The row in the content of a file.

    Raises:
        ValueError: the content is not a valid row, or the signature does not fit.
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
    """The content of the file of a row."""
    return (row.model_dump_json(indent=2, exclude_none=True) + "\n").encode()
