"""Check a submission without any image: its form, its claims, and that its encoders are functions.

The latents of the test split are drawn anew from the seed that the submission names, so nothing
of the data set need be at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from warnings import catch_warnings

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from benchmark.config import Config, ImageSettings
from benchmark.leaderboard.entry import Entry
from benchmark.leaderboard.findings import SeedScores, rounded
from benchmark.leaderboard.folder import (
    CODES,
    SubmissionFolder,
    config_name,
    encoder_name,
    representations_name,
)
from benchmark.leaderboard.gather import supervision_of
from benchmark.leaderboard.sandbox import TOLERANCE, Limits, agreeing_codes
from benchmark.leaderboard.submission import Claim, SeedRecord
from benchmark.leaderboard.texts import shown
from benchmark.metrics import Scores, score
from benchmark.remarks import ScoreWarning
from threedident.factors import LABELS
from threedident.latents import sample_raw

_NOISE_IMAGES = 6
_SAME = 1.0 - 1e-6


@dataclass(frozen=True)
class Checked:
    """A submission that holds what it claims.

    Arguments:
        folder: of the submission.
        latents: of the public test split, shape (N, 10).
        codes: of every seed, each of shape (N, 10).
        scores: of every seed.
    """

    folder: SubmissionFolder
    latents: NDArray[np.float32]
    codes: list[NDArray[np.float32]]
    scores: list[Scores]

    def entry(self) -> Entry:
        """The row at level ``recomputed``."""
        records = self.folder.submission.seeds
        pairs = zip(records, self.scores, strict=True)
        return Entry(
            submission=self.folder.submission,
            scores=tuple(SeedScores.of(record.seed, scores) for record, scores in pairs),
            correlation=rounded(self.scores[0].correlation),
        )


def check(
    folder: SubmissionFolder,
    limits: Limits,
    between: Callable[[], None] = lambda: None,
) -> Checked:
    """Recompute every score, compare it with the claim, and try every encoder on noise.

    Arguments:
        folder: of the submission.
        limits: of time and memory for each encoder.
        between: called after every seed.

    Raises:
        ValueError: something does not hold; the message says what.
    """
    submission = folder.submission
    latents = sample_raw(submission.data.seed, "test", submission.data.n_test)
    codes, scores = [], []
    for record in submission.seeds:
        _check_config(folder, record)
        codes.append(folder.representations(record))
        scores.append(_scored(folder, record, latents, codes[-1]))
        agreeing_codes(
            folder.encoder(record),
            _noise(submission.input_resolution),
            CODES,
            str(folder.path / encoder_name(record.seed)),
            limits,
        )
        between()
    _require_different(folder, codes)
    return Checked(folder, latents, codes, scores)


def _require_different(folder: SubmissionFolder, codes: Sequence[NDArray[np.float32]]) -> None:
    """Refuse one training handed in as several: codes alike up to order, sign and scale."""
    for (i, one), (j, other) in combinations(enumerate(codes), 2):
        try:
            with catch_warnings(action="ignore", category=ScoreWarning):
                same = score(latents=one, representations=other).mcc
        except ValueError:  # a code that does not vary
            same = float(np.array_equal(one, other))
        if same > _SAME:
            raise ValueError(
                f"{folder.path}: expected a training for each seed, found the codes of seeds {i} "
                f"and {j} to be the same up to order, sign and scale; train each"
            )


def _scored(
    folder: SubmissionFolder,
    record: SeedRecord,
    latents: NDArray[np.float32],
    codes: NDArray[np.float32],
) -> Scores:
    name = str(folder.path / representations_name(record.seed))
    try:
        with catch_warnings(action="ignore", category=ScoreWarning):
            found = score(latents=latents, representations=codes, labels=LABELS)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    for field in Claim.model_fields:
        claimed, true = getattr(record.claim, field), getattr(found, field)
        if abs(claimed - true) > TOLERANCE:
            raise ValueError(
                f"{name}: expected the {field} {claimed:.6f} that is claimed, found {true:.6f}; "
                "give codes in the order of the test split, and claim what the scorer finds"
            )
    return found


def _check_config(folder: SubmissionFolder, record: SeedRecord) -> None:
    """A configuration of ours must say what the record says; those of others may be anything."""
    submission, place = folder.submission, folder.path / config_name(record.seed)
    try:
        config = Config.model_validate(folder.read_config(record))
    except ValidationError:
        return
    if not isinstance(config.source, ImageSettings):
        raise ValueError(f"{place}: expected a training on images, found {config.source.kind}")
    data = config.source.data
    found = {
        "digest of train images": (data.get("train"), submission.data.digests.train),
        "digest of test images": (data.get("test"), submission.data.digests.test),
        "supervision": (supervision_of(config), submission.supervision),
        "seeds": (config.seeds, (record.seed,)),
        "steps": (config.steps, record.steps),
        "resolution": (config.source.resolution, submission.input_resolution),
    }
    for name, (here, said) in found.items():
        if here != said:
            raise ValueError(
                f"{place}: expected the {name} {shown(said)} that the submission names, found "
                f"{shown(here)}; correct one of them"
            )


def _noise(edge: int) -> NDArray[np.uint8]:
    """A few images of noise, on which an encoder must agree with itself."""
    rng = np.random.default_rng(edge)
    return rng.integers(0, 256, (_NOISE_IMAGES, edge, edge, 3), dtype=np.uint8)
