"""Findings on a submission: scores of every seed, and its verification on a fresh split."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, StringConstraints, model_validator

from benchmark.leaderboard.record import Date, Digest, Fingerprint, Record, Seed, Text
from benchmark.leaderboard.verification.influence import ScoreName, influences, standardised
from benchmark.leaderboard.verification.secret import Secret
from benchmark.leaderboard.verification.statistics import SUSPICIOUS, Gap
from benchmark.metrics.scores import Scores
from threedident.latents.factors import FACTORS
from threedident.storage.folder import MOST_ROWS

MOST_FACTORS = len(FACTORS)
Number = Annotated[float, Field(ge=-1e6, le=1)]  # a score; R^2 has no lower end
_DIGITS = 6
_MOST_GAP = 1e6
_PerFactor = Annotated[tuple[Number, ...], Field(min_length=1, max_length=MOST_FACTORS)]
Likeness = Literal["codes", "fresh codes", "weights"]


class SeedScores(Record):
    """Scores of one seed, from the official scorer, for the factors that vary."""

    seed: Seed
    r2: Number
    mcc: Number
    mcc_spearman: Number
    r2_per_factor: _PerFactor
    mcc_per_factor: _PerFactor

    @model_validator(mode="after")
    def _check_means(self) -> SeedScores:
        if len(self.r2_per_factor) != len(self.mcc_per_factor):
            raise ValueError("expected R^2 and MCC of the same factors")
        for mean, parts in ((self.r2, self.r2_per_factor), (self.mcc, self.mcc_per_factor)):
            if abs(mean - float(np.mean(parts))) > 10.0**-_DIGITS:
                raise ValueError(f"expected the mean of the factors' scores, found {mean:g}")
        return self

    @classmethod
    def of(cls, seed: int, scores: Scores) -> Self:
        """The part of ``scores`` that an entry stores, rounded to six decimals."""
        values = scores.to_json()
        kept = {name: rounded(values[name]) for name in cls.model_fields if name != "seed"}
        return cls(seed=seed, **kept)


class Alike(Record):
    """Two seeds that are not independent trainings.

    Arguments:
        seeds: the two seeds.
        of: what they share: ``weights``, or the part of the ``codes`` or the ``fresh codes`` that
            the latents do not explain. Fresh codes are those of the fresh split.
        share: the shared part, in [0, 1].
    """

    seeds: Annotated[tuple[Seed, ...], Field(min_length=2, max_length=2)]
    of: Likeness
    share: Annotated[float, Field(ge=0, le=1)]

    def spelled(self) -> str:
        """The finding in words: ``seeds 0 and 1 share 99.9% of their codes beyond the ...``."""
        what = "their weights" if self.of == "weights" else f"their {self.of} beyond the factors"
        return f"seeds {self.seeds[0]} and {self.seeds[1]} share {self.share:.1%} of {what}"


class GapRecord(Record):
    """The score on the public split minus that on the fresh split, as mean over seeds."""

    difference: Annotated[float, Field(ge=-_MOST_GAP, le=_MOST_GAP)]
    standard_error: Annotated[float, Field(ge=0, le=_MOST_GAP)]

    @classmethod
    def of(cls, gap: Gap) -> Self:
        """The record of a gap, rounded."""
        return cls(difference=rounded(gap.difference), standard_error=rounded(gap.standard_error))

    @property
    def suspicious(self) -> bool:
        """True if chance exceeds the difference for fewer than 1 % of honest rows."""
        return abs(self.difference) > SUSPICIOUS * self.standard_error


class Retrained(Record):
    """Encoders that we trained with the code of a submission.

    Arguments:
        encoders: SHA-256 of each encoder.
        fresh: scores of each encoder on the fresh split.
    """

    encoders: tuple[Digest, ...]
    fresh: tuple[SeedScores, ...]


_Base64 = Annotated[  # of 100,000 images at most
    str, StringConstraints(max_length=8 * 10**6, pattern=r"^[A-Za-z0-9+/]*={0,2}$")
]
_HALF = np.dtype("<f2")  # two bytes a number, with a relative error of 5e-4
_MOST_INFLUENCE = 6e4  # in the range of two bytes


class Kept(Record):
    """The part of its codes of the fresh images that a row keeps.

    Influences are public. They are one number for each image, seed and score, and pair the row
    with the other rows of its season. Good codes are nearly the latents of the fresh images, from
    which anybody could render the images. So codes are encrypted with the secret of the season,
    and can be read by all when the season has ended.

    Arguments:
        influences: influence of every image on R^2 and MCC, float16 of shape (seeds, N) each, in
            base64.
        codes: standardised codes, float16 of shape (seeds, N, n), encrypted, in base64.
    """

    influences: dict[ScoreName, _Base64]
    codes: _Base64

    @classmethod
    def of(
        cls,
        latents: NDArray[np.float32],
        codes: Sequence[NDArray[np.float32]],
        secret: Secret,
        name: str,
    ) -> Self:
        """The record of the codes of every seed.

        Arguments:
            latents: factors that vary, of the fresh images, shape (N, n).
            codes: codes of every seed, shape (N, n) each.
            secret: secret of the season.
            name: id of the row.
        """
        halves = np.stack([standardised(each) for each in codes]).astype(_HALF)
        found = [influences(latents, each) for each in codes]
        texts: dict[ScoreName, str] = {}
        for score in found[0]:
            values = np.stack([each[score] for each in found])
            texts[score] = _text(np.clip(values, -_MOST_INFLUENCE, _MOST_INFLUENCE))
        sealed = secret.encrypt(halves.tobytes(), name)
        return cls(influences=texts, codes=base64.b64encode(sealed).decode())

    def influence(self, score: ScoreName, seeds: int) -> NDArray[np.float64]:
        """The influence of every image on a score, with mean 0, shape (seeds, N).

        Raises:
            ValueError: the content is no such array.
        """
        values = _halves(base64.b64decode(self.influences[score]), (seeds, -1))
        return np.asarray(values - values.mean(axis=1, keepdims=True))

    def opened(self, secret: Secret, name: str, seeds: int, count: int) -> NDArray[np.float64]:
        """The standardised codes, shape (seeds, N, count).

        Raises:
            ValueError: they were encrypted with another secret or for another row.
        """
        return _halves(secret.decrypt(base64.b64decode(self.codes), name), (seeds, -1, count))

    def require(self, seeds: int, rows: int, count: int) -> None:
        """Check that the content has the size that belongs to numbers of seeds, images and codes.

        Raises:
            ValueError: it has another size, or contains NaN or infinity.
        """
        if set(self.influences) != {"r2", "mcc"}:
            raise ValueError("expected influences on r2 and mcc")
        for score in self.influences:
            found = self.influence(score, seeds)
            if found.shape != (seeds, rows):
                raise ValueError(
                    f"expected influences on {score} of {seeds} seeds and {rows} images, found "
                    f"{found.size} numbers"
                )
        expected = _HALF.itemsize * seeds * rows * count + Secret.OVERHEAD
        if len(base64.b64decode(self.codes)) != expected:
            raise ValueError(f"expected {expected} bytes of encrypted codes, found others")


def _text(values: NDArray[np.float64]) -> str:
    return base64.b64encode(values.astype(_HALF).tobytes()).decode()


def _halves(content: bytes, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The float16 numbers in ``content`` as float64.

    Arguments:
        content: the bytes.
        shape: shape of the numbers, with -1 for one size that follows from the others.

    Raises:
        ValueError: the content does not fit the shape, or contains NaN or infinity.
    """
    least = _HALF.itemsize * abs(math.prod(shape))
    if not content or len(content) % least:
        raise ValueError(
            f"expected numbers of two bytes of shape {shape}, found {len(content)} bytes"
        )
    found = np.frombuffer(content, _HALF).reshape(shape).astype(np.float64)
    if not np.isfinite(found).all():
        raise ValueError("expected finite numbers, found NaN or infinity")
    return found


class Verification(Record):
    """Findings on images that did not exist when the encoder was trained.

    Arguments:
        level: ``re-executed``, or ``retrained`` if the code was trained again, too.
        date: date of the verification.
        season: name of the season.
        commitment: commitment of the secret of the season.
        public_key: public key of the season.
        rows: number of rows of the fresh split.
        fingerprint: fingerprint of the renderer of the fresh split.
        tolerance: tolerance of codes between batches, and of recomputed scores.
        fresh: scores of every seed on the fresh split.
        gap: public minus fresh scores.
        alike: pairs of seeds that are not independent trainings, by their fresh codes,
            or None.
        retrained: findings on the code that we trained again; None if we did not.
        kept: what is kept of the codes of the fresh split; None in records of earlier versions.
    """

    level: Literal["re-executed", "retrained"]
    date: Date
    season: Text
    commitment: Digest
    public_key: Digest
    rows: Annotated[int, Field(gt=0, le=MOST_ROWS)]
    fingerprint: Fingerprint
    tolerance: Annotated[float, Field(gt=0, le=1)]
    fresh: Annotated[tuple[SeedScores, ...], Field(min_length=1)]
    gap: dict[Literal["r2", "mcc"], GapRecord]
    alike: tuple[Alike, ...] | None = None
    retrained: Retrained | None = None
    kept: Kept | None = None

    @model_validator(mode="after")
    def _check_level(self) -> Verification:
        if (self.level == "retrained") != (self.retrained is not None):
            raise ValueError("expected scores of a second training only with level retrained")
        if set(self.gap) != {"r2", "mcc"}:
            raise ValueError("expected the gaps of r2 and mcc")
        if self.kept is not None:
            self.kept.require(len(self.fresh), self.rows, len(self.fresh[0].r2_per_factor))
        return self


def rounded(values: ArrayLike) -> Any:
    """Scores rounded to six decimals, as numbers and tuples, for entries."""
    return _frozen(np.round(np.asarray(values, np.float64), _DIGITS).tolist())


def _frozen(values: Any) -> Any:
    return tuple(map(_frozen, values)) if isinstance(values, list) else values
