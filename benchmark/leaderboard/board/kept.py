"""Check of the codes that rows keep, once the secret of their season is published.

The secret gives the latents of the fresh images and decrypts the codes. So everybody can compute
scores and influences again without running an encoder.
"""

from __future__ import annotations

from warnings import catch_warnings

import numpy as np

from benchmark.leaderboard.board.board import Board
from benchmark.leaderboard.submission.data import DataRecord
from benchmark.leaderboard.verification.entry import Entry
from benchmark.leaderboard.verification.findings import Kept, Verification
from benchmark.leaderboard.verification.influence import SCORES
from benchmark.leaderboard.verification.secret import Secret
from benchmark.metrics.remarks import ScoreWarning
from benchmark.metrics.scores import score

_ROUNDING = 2e-3  # of codes and influences of two bytes, in scores and influences


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
        with catch_warnings(action="ignore", category=ScoreWarning):
            again = score(latents=latents, representations=each)
        for field in SCORES:
            here, there = getattr(again, field), getattr(scores, field)
            if not abs(here - there) <= _ROUNDING:
                raise ValueError(
                    f"{name}: expected kept codes that give the {field} {there:.6f} of seed "
                    f"{scores.seed}, found {here:.6f}; verify it again"
                )
    again_kept = Kept.of(latents, list(codes), secret, name)
    for field in SCORES:
        here, there = (each.influence(field, seeds) for each in (again_kept, kept))
        if not np.abs(here - there).max() <= _ROUNDING * max(1.0, np.abs(there).max()):
            raise ValueError(
                f"{name}: expected influences on {field} as the kept codes give them, found "
                "others; verify it again"
            )
