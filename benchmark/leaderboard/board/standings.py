"""Standings: the rows of each track with their ranks and their difference to the best row.

Rows are ranked by MCC on the fresh split, as mean over seeds. A ranked row has all seeds from
independent trainings, and was re-executed in the latest season of its track. So all ranked rows
are scored on the same images. The other rows are shown, but not ranked. Rows of different tracks
are never ranked together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.leaderboard.board.board import Board
from benchmark.leaderboard.board.comparison import Sample, best_intervals
from benchmark.leaderboard.submission.submission import SEEDS
from benchmark.leaderboard.verification.entry import Entry, Row
from benchmark.leaderboard.verification.findings import SeedScores
from benchmark.leaderboard.verification.influence import SCORES, ScoreName
from benchmark.leaderboard.verification.seasons import Season
from benchmark.leaderboard.verification.statistics import Spread, difference_interval, spread

RANKED_BY: ScoreName = "mcc"


@dataclass(frozen=True)
class Standing:
    """A row and its rank.

    Arguments:
        row: row of the board.
        rank: rank from 1; None for rows that are not ranked.
        why: reason why the row is not ranked; empty for ranked rows.
        interval: 95 % confidence interval of its fresh MCC minus that of the best row; None for
            the best row and for rows that are not ranked.
        r2_interval: the same for its fresh R^2, minus that of the row with the best MCC; also
            None if one of the two rows kept no codes of the fresh images.
        by_seeds_alone: True if the interval covers seeds alone, one row at a time, because one of
            the two rows was verified before rows kept their codes of the fresh images.
    """

    row: Row
    rank: int | None = None
    why: str = ""
    interval: tuple[float, float] | None = None
    r2_interval: tuple[float, float] | None = None
    by_seeds_alone: bool = False

    @property
    def level_with_best(self) -> bool:
        """True if it is not significantly different from the best row."""
        return self.interval is not None and self.interval[0] <= 0.0 <= self.interval[1]

    def public(self, name: str) -> Spread | None:
        """Mean and spread of a score on the public test split; None if it is not reported."""
        if isinstance(self.row, Entry):
            return _spread(self.row.scores, name)
        figure = getattr(self.row, name)
        return None if figure is None else Spread(figure.mean, figure.sd, self.row.seeds)

    def fresh(self, name: str) -> Spread | None:
        """Mean and spread of a score on the fresh split; None if the row was not re-executed."""
        scores = fresh_scores(self.row)
        return _spread(scores, name) if scores else None


def standings(board: Board) -> dict[str, list[Standing]]:
    """The rows of every track: ranked rows in order, then the others by their public score.

    Tracks are sorted by name. Those with ranked rows come first, those with only reported rows
    last.
    """
    tracks: dict[str, list[Row]] = {}
    for row in sorted(board.rows, key=lambda row: (row.track, row.id)):
        tracks.setdefault(row.track, []).append(row)
    found = {track: _ranked(board, members) for track, members in tracks.items()}
    return dict(sorted(found.items(), key=_track_order))


def fresh_scores(row: Row) -> tuple[SeedScores, ...]:
    """Scores of each seed on the fresh split; empty for rows that were not re-executed."""
    if not isinstance(row, Entry) or row.verification is None:
        return ()
    return row.verification.fresh


def _ranked(board: Board, rows: Sequence[Row]) -> list[Standing]:
    latest = _latest(board, rows)
    reasons = {row.id: _unranked(board, row, latest) for row in rows}
    ranked = [row for row in rows if not reasons[row.id]]
    ranked.sort(key=_rank_score, reverse=True)
    paired = {name: _paired_intervals(ranked, name) for name in SCORES}
    found = [Standing(row, 1) for row in ranked[:1]]
    for i, row in enumerate(ranked[1:], 2):
        interval, r2_interval = (paired[name].get(row.id) for name in (RANKED_BY, "r2"))
        alone = interval is None
        if alone:
            interval = difference_interval(_values(row), _values(ranked[0]))
        found.append(Standing(row, i, "", interval, r2_interval, alone))
    others = [Standing(row, why=reasons[row.id]) for row in rows if reasons[row.id]]
    return found + sorted(others, key=_public_order)


def _paired_intervals(ranked: Sequence[Row], name: ScoreName) -> dict[str, tuple[float, float]]:
    """Intervals of a score over images and seeds, by id, of rows that kept their codes.

    They are empty if the best row kept none.
    """
    samples = {row.id: _sample(row, name) for row in ranked}
    kept = {row: sample for row, sample in samples.items() if sample is not None}
    if not ranked or ranked[0].id not in kept:
        return {}
    best = None if name == RANKED_BY else 0
    found = zip(kept, best_intervals([*kept.values()], best), strict=True)
    return {row: interval for row, interval in found if interval is not None}


def _sample(row: Row, name: ScoreName) -> Sample | None:
    """The scores of a row and their influences; None if it kept none."""
    if not isinstance(row, Entry) or row.verification is None or row.verification.kept is None:
        return None
    values = np.array(_values(row, name))
    return Sample(values, row.verification.kept.influence(name, len(values)))


def _latest(board: Board, rows: Sequence[Row]) -> Season | None:
    """The last published season in which any of the rows was verified, or None."""
    seasons = [board.season(row) for row in rows if isinstance(row, Entry)]
    return next((season for season in reversed(board.seasons) if season in seasons), None)


def _unranked(board: Board, row: Row, latest: Season | None) -> str:
    """The reason why a row is not ranked; empty for ranked rows."""
    if not isinstance(row, Entry):
        return "reported, not checked"
    if row.verification is None:
        return "recomputed, not run on fresh images"
    season = board.season(row)
    if season != latest:
        assert season is not None
        assert latest is not None
        return f"verified in season {season.name}, not yet in {latest.name}"
    if not row.is_complete:
        return f"it does not have all seeds {', '.join(map(str, SEEDS))}"
    if row.one_training:
        return f"seeds are not independent trainings: {row.one_training[0].spelled()}"
    other = _contradicting(board, row)
    if other is not None:
        return (
            f"its data set and that of {other.id} have the same name and different images; "
            "maintainers have to render and pin it"
        )
    return ""


def _contradicting(board: Board, row: Entry) -> Entry | None:
    """A row that would be ranked and has another data set with the same id.

    None if there is no such row, or if the id is pinned.
    """
    data = row.submission.data
    if data.id in board.pins:
        return None
    for other in board.rows:
        if isinstance(other, Entry) and other.can_be_ranked:
            there = other.submission.data
            if there.id == data.id and there != data:
                return other
    return None


def _track_order(track: tuple[str, list[Standing]]) -> tuple[bool, bool]:
    """Key to sort tracks: those with ranked rows first, those with only reported rows last."""
    _, members = track
    ranked = any(standing.rank is not None for standing in members)
    return not ranked, not any(isinstance(standing.row, Entry) for standing in members)


def _values(row: Row, name: ScoreName = RANKED_BY) -> list[float]:
    return [getattr(scores, name) for scores in fresh_scores(row)]


def _rank_score(row: Row) -> float:
    return spread(_values(row)).mean


def _public_order(standing: Standing) -> float:
    found = standing.public(RANKED_BY) or standing.public("r2")
    return 0.0 if found is None else -found.mean


def _spread(scores: Sequence[SeedScores], name: str) -> Spread:
    return spread([getattr(each, name) for each in scores])
