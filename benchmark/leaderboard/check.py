"""Check a submission without any image: its form, its claims, and that its encoders are functions.

The latents of the test split are drawn anew from the seed that the submission names, so nothing
of the data set need be at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.data_record import DataRecord
from benchmark.leaderboard.entry import Entry
from benchmark.leaderboard.findings import SeedScores, rounded
from benchmark.leaderboard.folder import (
    CODES,
    SubmissionFolder,
    config_name,
    encoder_name,
    representations_name,
)
from benchmark.leaderboard.sandbox import Limits, agreeing_codes
from benchmark.leaderboard.submission import Claim, SeedRecord
from benchmark.metrics import Scores, score
from threedident.factors import LABELS
from threedident.latents import sample_raw

TOLERANCE = 1e-4
_NOISE_IMAGES = 6


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
        _check_config(folder, record, submission.data)
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
    return Checked(folder, latents, codes, scores)


def _scored(
    folder: SubmissionFolder,
    record: SeedRecord,
    latents: NDArray[np.float32],
    codes: NDArray[np.float32],
) -> Scores:
    name = str(folder.path / representations_name(record.seed))
    try:
        found = score(latents, codes, labels=LABELS)
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


def _check_config(folder: SubmissionFolder, record: SeedRecord, data: DataRecord) -> None:
    """A configuration of ours names its data; those of others may say what they like."""
    name = config_name(record.seed)
    config = folder.read_config(record)
    source = config.get("source") if isinstance(config, dict) else None
    digests = source.get("data") if isinstance(source, dict) else None
    if not isinstance(digests, dict):
        return
    for split, digest in data.digests.model_dump().items():
        if digests.get(split, digest) != digest:
            raise ValueError(
                f"{folder.path / name}: expected a training on the {split} split of digest "
                f"{digest[:12]}, found {str(digests[split])[:12]}; name the data set that it was "
                "trained on"
            )


def _noise(edge: int) -> NDArray[np.uint8]:
    """A few images of noise, on which an encoder must agree with itself."""
    rng = np.random.default_rng(edge)
    return rng.integers(0, 256, (_NOISE_IMAGES, edge, edge, 3), dtype=np.uint8)
