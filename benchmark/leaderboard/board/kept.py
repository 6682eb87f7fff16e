"""Check of the codes that rows keep, once the secret of their season is published.

The secret gives the latents of the fresh images and decrypts the codes. So everybody can compute
scores and influences again without running an encoder.

Kept codes are rounded to two bytes. Where codes lie nearly in a plane, as some on a sphere do, a
linear readout enlarges this rounding. So it is measured how much scores and influences of a row
change with roundings, and they may differ by as much.
"""

from __future__ import annotations

from collections.abc import Iterator
from warnings import catch_warnings

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.board.board import Board
from benchmark.leaderboard.submission.data import DataRecord
from benchmark.leaderboard.verification.entry import Entry
from benchmark.leaderboard.verification.findings import Kept, Verification
from benchmark.leaderboard.verification.influence import SCORES
from benchmark.leaderboard.verification.secret import Secret
from benchmark.metrics.remarks import ScoreWarning
from benchmark.metrics.scores import score

_ROUNDING = 2e-3  # of codes and influences of two bytes, in scores and influences
_ROUNDINGS, _MARGIN = 4, 2.0  # roundings that are tried, and times their largest change


def require_kept_codes(board: Board) -> int:
    """Check the kept codes of all rows whose seasons have ended against scores and influences.

    Returns:
        Number of rows that were checked.

    Raises:
        ValueError: the codes of a row cannot be decrypted, or give other scores or influences.
    """
    checked = 0
    for row in board.rows:
        if not isinstance(row, Entry):
            continue
        season, found = board.season(row), row.verification
        if season is None or season.secret is None or found is None or found.kept is None:
            continue
        _require_codes(row.id, row.submission.data, found, found.kept, Secret(season.secret))
        checked += 1
    return checked


def _require_codes(
    name: str, data: DataRecord, found: Verification, kept: Kept, secret: Secret
) -> None:
    seeds, factors = len(found.fresh), data.factors
    codes = kept.opened(secret, name, seeds, len(factors.names)).astype(np.float32)
    latents = factors.values(data.test_latents(secret.number("fresh split"), found.rows))
    for each, scores in zip(codes, found.fresh, strict=True):
        again, *others = (_scores(latents, c) for c in (each, *_rounded_otherwise(each)))
        for field in SCORES:
            here, there = again[field], getattr(scores, field)
            change = max(abs(other[field] - here) for other in others)
            if not abs(here - there) <= max(_ROUNDING, _MARGIN * change):
                raise ValueError(
                    f"{name}: expected kept codes that give the {field} {there:.6f} of seed "
                    f"{scores.seed}, found {here:.6f}; verify it again"
                )
    again_kept, *other_kept = (
        Kept.of(latents, list(each), secret, name) for each in (codes, *_rounded_otherwise(codes))
    )
    for field in SCORES:
        mine, theirs = (each.influence(field, seeds) for each in (again_kept, kept))
        changes = [np.abs(each.influence(field, seeds) - mine).max() for each in other_kept]
        allowed = max(_ROUNDING * max(1.0, np.abs(theirs).max()), _MARGIN * max(changes))
        if not np.abs(mine - theirs).max() <= allowed:
            raise ValueError(
                f"{name}: expected influences on {field} as the kept codes give them, found "
                "others; verify it again"
            )


def _scores(latents: NDArray[np.float32], codes: NDArray[np.float32]) -> dict[str, float]:
    with catch_warnings(action="ignore", category=ScoreWarning):
        found = score(latents=latents, representations=codes)
    return {field: getattr(found, field) for field in SCORES}


def _rounded_otherwise(codes: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Codes that two bytes could stand for as well: each half of its last digit away."""
    half = (np.spacing(np.abs(codes).astype(np.float16)) / 2).astype(np.float32)
    draws = np.random.default_rng(0)
    for _ in range(_ROUNDINGS):
        yield codes + half * draws.choice((-1, 1), codes.shape).astype(np.float32)
