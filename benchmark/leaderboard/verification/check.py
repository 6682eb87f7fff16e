"""Checks of a submission that need no images: form, claimed scores, and behaviour of encoders.

The latents of the test split are drawn again from the seed that the submission names, so the data
set is not needed.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any
from warnings import catch_warnings

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from benchmark.config import Config
from benchmark.differences import differences
from benchmark.leaderboard.record import explained, shown
from benchmark.leaderboard.sandbox.agreement import TOLERANCE, agreeing_codes, require_spread
from benchmark.leaderboard.sandbox.sandbox import Limits, shared_weights
from benchmark.leaderboard.submission.folder import (
    SUBMISSION,
    SubmissionFolder,
    config_name,
    encoder_name,
    representations_name,
)
from benchmark.leaderboard.submission.runs import supervision_of
from benchmark.leaderboard.submission.submission import TRAINER, Claim, SeedRecord, Submission
from benchmark.leaderboard.verification.entry import Entry
from benchmark.leaderboard.verification.findings import Alike, Likeness, SeedScores, rounded
from benchmark.leaderboard.verification.likeness import ALIKE, likeness
from benchmark.metrics.remarks import ScoreWarning
from benchmark.metrics.scores import Scores, score
from benchmark.settings import ImageSettings

_NOISE_IMAGES = 6


@dataclass(frozen=True)
class Checked:
    """A submission that passed the checks.

    Arguments:
        folder: folder of the submission.
        latents: factors that vary, of the public test split, shape (N, n).
        codes: codes of every seed, shape (N, n) each.
        scores: scores of every seed.
        alike: pairs of seeds that are not independent trainings.
    """

    folder: SubmissionFolder
    latents: NDArray[np.float32]
    codes: list[NDArray[np.float32]]
    scores: list[Scores]
    alike: tuple[Alike, ...] = ()

    def entry(self) -> Entry:
        """The row at level ``recomputed``."""
        records = self.folder.submission.seeds
        pairs = zip(records, self.scores, strict=True)
        return Entry(
            submission=self.folder.submission,
            scores=tuple(SeedScores.of(record.seed, scores) for record, scores in pairs),
            correlation=rounded(self.scores[0].correlation),
            alike=self.alike or None,
        )


def check(
    folder: SubmissionFolder,
    limits: Limits,
    between: Callable[[], None] = lambda: None,
) -> Checked:
    """Recompute every score, compare it with the claim, and run every encoder on noise images.

    Arguments:
        folder: folder of the submission.
        limits: limits of time and memory for each encoder.
        between: function that is called after every seed.

    Raises:
        ValueError: a check fails; the message says which.
    """
    submission = folder.submission
    _require_past(submission)
    data = submission.data
    latents = data.factors.values(data.test_latents(data.seed, data.n_test))
    folder.image_digests()
    _check_configs(folder)
    codes, scores, encoders = [], [], []
    for record in submission.seeds:
        codes.append(folder.representations(record))
        require_spread(codes[-1], str(folder.path / representations_name(record.seed)))
        scores.append(_scored(folder, record, latents, codes[-1]))
        encoders.append(folder.encoder(record))
        agreeing_codes(
            encoders[-1],
            _noise(submission.input_resolution),
            codes[-1],
            str(folder.path / encoder_name(record.seed)),
            limits,
        )
        between()
    alike = alike_codes(submission.seeds, latents, codes, "codes")
    alike += _alike_weights(folder, encoders, limits)
    return Checked(folder, latents, codes, scores, alike)


def _require_past(submission: Submission) -> None:
    """Check that the date has been reached in some time zone.

    Raises:
        ValueError: the date is in the future.
    """
    latest = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=1)
    if submission.date > latest:
        raise ValueError(
            f"{submission.id}: expected a date up to {latest}, found {submission.date}; name the "
            "day of the submission"
        )


def _alike_weights(
    folder: SubmissionFolder, encoders: Sequence[bytes], limits: Limits
) -> tuple[Alike, ...]:
    """Pairs of seeds whose encoders share too many of their weights."""
    found, records = [], folder.submission.seeds
    for (one, a), (other, b) in combinations(zip(records, encoders, strict=True), 2):
        share = shared_weights(a, b, str(folder.path / encoder_name(other.seed)), limits)
        if share > ALIKE["weights"]:
            pair = (one.seed, other.seed)
            found.append(Alike(seeds=pair, of="weights", share=rounded(share)))
    return tuple(found)


def alike_codes(
    records: Sequence[SeedRecord],
    latents: NDArray[np.float32],
    codes: Sequence[NDArray[np.float32]],
    of: Likeness,
) -> tuple[Alike, ...]:
    """Pairs of seeds whose codes show that they come from one training.

    Arguments:
        records: records of the seeds.
        latents: latents of the images, shape (N, n).
        codes: codes of every seed for these images, shape (N, n) each.
        of: name of the codes, ``codes`` or ``fresh codes``.
    """
    found = []
    for (one, a), (other, b) in combinations(zip(records, codes, strict=True), 2):
        share = likeness(latents, a, b)
        if share > ALIKE["codes"]:
            found.append(Alike(seeds=(one.seed, other.seed), of=of, share=rounded(share)))
    return tuple(found)


def _scored(
    folder: SubmissionFolder,
    record: SeedRecord,
    latents: NDArray[np.float32],
    codes: NDArray[np.float32],
) -> Scores:
    name = str(folder.path / representations_name(record.seed))
    labels = folder.submission.data.factors.labels
    try:
        with catch_warnings(action="ignore", category=ScoreWarning):
            found = score(latents=latents, representations=codes, labels=labels)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    for field in Claim.model_fields:
        claimed, true = getattr(record.claim, field), getattr(found, field)
        if abs(claimed - true) > TOLERANCE:
            raise ValueError(
                f"{name}: expected the {field} {claimed:.6g} that is claimed, found {true:.6g}; "
                "give codes in the order of the test split, and claim the scores of the scorer"
            )
    return found


def _check_configs(folder: SubmissionFolder) -> None:
    """Check the configurations of all seeds.

    If ``threedident`` is the trainer, they must be valid, agree with the records, and differ only
    in their seeds. For other trainers they may be any JSON.

    Raises:
        ValueError: a configuration is not allowed, or no trainer is named.
    """
    records, trainer, first = folder.submission.seeds, folder.submission.trainer, None
    if trainer is None:
        raise ValueError(
            f'{folder.path / SUBMISSION}: expected a trainer, "{TRAINER}" if its benchmark '
            'trained the encoders or "own" for other code, found none; add it'
        )
    for record in records:
        given = folder.read_config(record)
        if trainer != TRAINER:
            continue
        place = folder.path / config_name(record.seed)
        config = _own_config(given, str(place))
        _require_as_recorded(folder.submission, record, config, place)
        alone = config.model_copy(update={"seeds": ()})
        first = first or alone
        changed = differences(first, alone)
        if changed:
            raise ValueError(
                f"{place}: expected the configuration of seed {records[0].seed}, found one with "
                f"{shown(', '.join(changed))}; submit seeds of one configuration"
            )


def _own_config(given: Any, place: str) -> Config:
    try:
        return Config.model_validate(given)
    except (ValidationError, RecursionError) as error:
        nested = "it is nested too deeply, found no configuration"
        reason = nested if isinstance(error, RecursionError) else explained(error)
        raise ValueError(
            f"{place}: expected a configuration of threedident benchmark, which trained this as "
            f"the submission says, but {reason}; give the run's config.json, or name "
            'another trainer, "own"'
        ) from None


def _require_as_recorded(
    submission: Submission, record: SeedRecord, config: Config, place: Path
) -> None:
    """Check that a configuration of ``threedident benchmark`` agrees with the submission.

    Raises:
        ValueError: they differ.
    """
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
        "latent space": (config.source.space, submission.data.space),
        "factors": (config.source.factors, submission.data.factors.names),
    }
    for name, (here, said) in found.items():
        if here != said:
            raise ValueError(
                f"{place}: expected the {name} {shown(said)} that the submission names, found "
                f"{shown(here)}; correct one of them"
            )


def _noise(edge: int) -> NDArray[np.uint8]:
    """A few noise images, for which an encoder must compute the same codes in all batches."""
    rng = np.random.default_rng(edge)
    return rng.integers(0, 256, (_NOISE_IMAGES, edge, edge, 3), dtype=np.uint8)
