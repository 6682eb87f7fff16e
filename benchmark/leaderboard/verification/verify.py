"""Verification of a submission: we run its encoders on images that did not exist in training.

These conditions are checked:

- the images of the data set have the digests that follow from its seed and settings;
- the codes of an encoder do not depend on other images in the batch;
- some rows of the public test split, which the secret selects, are rendered again. For them an
  encoder must compute the submitted representations, in order.

The encoders are then scored on the fresh split. The difference to the public score is compared
with its standard error.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from warnings import catch_warnings

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.sandbox.agreement import (
    ROUNDING,
    TOLERANCE,
    agreeing_codes,
    require_spread,
)
from benchmark.leaderboard.sandbox.sandbox import Limits, Pass, execute
from benchmark.leaderboard.submission.folder import SUMS, encoder_name, representations_name
from benchmark.leaderboard.submission.submission import SEEDS
from benchmark.leaderboard.verification.check import Checked, alike_codes
from benchmark.leaderboard.verification.findings import (
    GapRecord,
    Kept,
    Retrained,
    SeedScores,
    Verification,
)
from benchmark.leaderboard.verification.fresh import FreshImages
from benchmark.leaderboard.verification.influence import SCORES
from benchmark.leaderboard.verification.secret import Secret
from benchmark.leaderboard.verification.statistics import difference_interval, public_minus_fresh
from benchmark.metrics.remarks import ScoreWarning
from benchmark.metrics.scores import score

_UNEXPLAINED = 1e-4
_MARGIN = 0.05
_RECIPE = (
    "data",
    "input_resolution",
    "supervision",
    "uses_train_latents",
    "external_data",
    "pretrained",
)

Codes = list[NDArray[np.float32]]


def verify(
    checked: Checked,
    fresh: FreshImages,
    secret: Secret,
    season: str,
    limits: Limits,
    retrained: Checked | None = None,
    between: Callable[[], None] = lambda: None,
) -> Verification:
    """The verification of a submission on a fresh split.

    Arguments:
        checked: the submission, after all checks.
        fresh: fresh images of the season.
        secret: secret of the season.
        season: name of the season.
        limits: limits of time and memory for each encoder.
        retrained: result of training its code again, as a separate submission, or None.
        between: function that is called after every encoder.

    Raises:
        ValueError: an encoder does not compute the submitted codes, or training its code again
            gives lower scores.
    """
    _require_its_images(checked, fresh)
    codes = _fresh_codes(checked, fresh, limits, between)
    latents = fresh.latents
    gaps = public_minus_fresh((checked.latents, checked.codes), (latents, codes))
    scores, records = _scores(checked, latents, codes), checked.folder.submission.seeds
    again = None
    if retrained is not None:
        _require_same_recipe(checked, retrained)
        found = _scores(retrained, latents, _fresh_codes(retrained, fresh, limits, between))
        _require_same_scores(scores, found)
        encoders = tuple(r.digests.encoder for r in retrained.folder.submission.seeds)
        again = Retrained(encoders=encoders, fresh=found)
    return Verification(
        level="re-executed" if again is None else "retrained",
        date=datetime.datetime.now(datetime.UTC).date(),
        season=season,
        commitment=secret.commitment,
        public_key=secret.public_key,
        rows=len(latents),
        fingerprint=fresh.fingerprint,
        tolerance=TOLERANCE,
        fresh=scores,
        gap={"r2": GapRecord.of(gaps["r2"]), "mcc": GapRecord.of(gaps["mcc"])},
        alike=alike_codes(records, latents, codes, "fresh codes") or None,
        retrained=again,
        kept=Kept.of(latents, codes, secret, checked.folder.submission.id),
    )


def _require_its_images(checked: Checked, fresh: FreshImages) -> None:
    """Check that the images of the data set follow from its seed and settings.

    Raises:
        ValueError: rows that were rendered again have other digests.
    """
    named, folder = checked.folder.image_digests(), checked.folder
    drawn = fresh.public_digests
    others = [row for row, digest in zip(fresh.rows, drawn, strict=True) if named[row] != digest]
    if others:
        raise ValueError(
            f"{folder.path / SUMS}: expected the digests of the images of "
            f"{folder.submission.data.id}, found others for {len(others)} of {len(drawn)} rows "
            f"drawn anew, first row {others[0]}; submit runs on a data set as threedident render "
            "draws it, and verify on a machine that draws the same pixels"
        )


def _fresh_codes(
    checked: Checked, fresh: FreshImages, limits: Limits, between: Callable[[], None]
) -> Codes:
    """Codes of the fresh split from the encoders of all seeds, shape (N, n) each."""
    folder, found = checked.folder, []
    edge = folder.submission.input_resolution
    images, public = fresh.images(edge), fresh.public_images(edge)
    for record, codes in zip(folder.submission.seeds, checked.codes, strict=True):
        name = str(folder.path / encoder_name(record.seed))
        model = folder.encoder(record)
        [given] = execute(model, public, codes.shape[1], [Pass(64)], name, limits)
        submitted = folder.path / representations_name(record.seed)
        _require_own(given, codes, fresh.rows, name, str(submitted))
        found.append(agreeing_codes(model, images, codes, name, limits))
        require_spread(found[-1], f"{name}, on the fresh split")
        between()
    return found


def _require_own(
    given: NDArray[np.float32],
    codes: NDArray[np.float32],
    rows: NDArray[np.int64],
    name: str,
    submitted: str,
) -> None:
    """Check that an encoder computes the submitted representations.

    Raises:
        ValueError: its codes of the rows that were rendered again differ.
    """
    exact, drawn = codes.astype(np.float64), given.astype(np.float64)
    apart = ((drawn - exact[rows]) ** 2).mean(axis=0)
    # the smallest of three, so that codes of rows that are not checked cannot make it large
    variance = np.min([exact.var(axis=0), exact[rows].var(axis=0), drawn.var(axis=0)], axis=0)
    rounding = (ROUNDING * np.abs(exact[rows]).max(axis=0)) ** 2  # for codes that hardly vary
    scale = np.maximum(np.maximum(variance, rounding), np.finfo(float).tiny)
    unexplained = float((apart / scale).max())
    if not unexplained <= _UNEXPLAINED:
        raise ValueError(
            f"{name}: expected the codes of {submitted} for {len(rows)} rows of the public test "
            f"split, drawn anew, found others (they miss {min(unexplained, 1.0):.2%} or more of "
            "a code's variance); submit the representations that this encoder computes, in order"
        )


def _scores(
    checked: Checked, latents: NDArray[np.float32], codes: Codes
) -> tuple[SeedScores, ...]:
    submission = checked.folder.submission
    labels = submission.data.factors.labels
    with catch_warnings(action="ignore", category=ScoreWarning):
        return tuple(
            SeedScores.of(record.seed, score(latents=latents, representations=each, labels=labels))
            for record, each in zip(submission.seeds, codes, strict=True)
        )


def _require_same_recipe(checked: Checked, retrained: Checked) -> None:
    """Check that the second submission is a separate training of the same code with all seeds.

    Raises:
        ValueError: settings, seeds or steps differ, or an encoder is the submitted one.
    """
    asked, given = checked.folder.submission, retrained.folder.submission
    for field in _RECIPE:
        if getattr(asked, field) != getattr(given, field):
            raise ValueError(
                f"--retrained: expected a training with the {field} of {asked.id}, found another; "
                "train its code as it is described"
            )
    if [r.steps for r in asked.seeds] != [r.steps for r in given.seeds] or (
        len(asked.seeds) < len(SEEDS)
    ):
        raise ValueError(
            f"--retrained: expected the seeds {', '.join(map(str, SEEDS))} of both, of as many "
            "steps, found others; train all of them"
        )
    theirs = {record.digests.encoder for record in asked.seeds}
    if theirs & {record.digests.encoder for record in given.seeds}:
        raise ValueError(
            f"--retrained: expected encoders of a training of our own, found those of {asked.id}; "
            "train its code"
        )


def _require_same_scores(submitted: Sequence[SeedScores], again: Sequence[SeedScores]) -> None:
    """Check that training the code again reaches the submitted scores.

    Our scores must not be significantly lower. They must also not be lower by more than a margin,
    because with a wide interval no difference is significant.

    Raises:
        ValueError: our scores are lower.
    """
    for name in SCORES:
        ours, theirs = ([getattr(s, name) for s in scores] for scores in (again, submitted))
        interval = difference_interval(ours, theirs)
        assert interval is not None
        short = float(np.mean(theirs) - np.mean(ours))
        if interval[1] < -TOLERANCE or short > _MARGIN:
            raise ValueError(
                f"--retrained: expected the fresh {name} that was submitted, "
                f"{np.mean(theirs):.4f}, found {np.mean(ours):.4f} from its code, which is less; "
                "it stays re-executed"
            )
