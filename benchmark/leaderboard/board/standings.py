"""Who stands where: rows by track, ranked within it, and set against the best.

Rows are ranked by the mean over seeds of MCC on the fresh split, where they have all seeds, each
from a training of its own, and were re-executed in the latest season of their track: so all were
scored on the same images. The rest is shown, but not ranked. Tracks never mix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.leaderboard.board.board import Board
from benchmark.leaderboard.submission.submission import SEEDS
from benchmark.leaderboard.verification.entry import Entry, Row
from benchmark.leaderboard.verification.findings import SeedScores
from benchmark.leaderboard.verification.seasons import Season
from benchmark.leaderboard.verification.statistics import Spread, difference_interval, spread

RANKED_BY = "mcc"


@dataclass(frozen=True)
class Standing:
    """A row and its place.

    Arguments:
        row: of the board.
        rank: from 1; None for rows that are not ranked.
        why: they are not.
        interval: the 95 % confidence interval of its fresh MCC minus that of the best row; None
            for the best itself and for rows that are not ranked.
    """

    row: Row
    rank: int | None = None
    why: str = ""
    interval: tuple[float, float] | None = None

    @property
    def level_with_best(self) -> bool:
        """Whether it is not significantly different from the best row."""
        return self.interval is not None and self.interval[0] <= 0.0 <= self.interval[1]

    def public(self, name: str) -> Spread | None:
        """Mean and spread of a score on the public test split."""
        if isinstance(self.row, Entry):
            return _spread(self.row.scores, name)
        figure = getattr(self.row, name)
        return None if figure is None else Spread(figure.mean, figure.sd, self.row.seeds)

    def fresh(self, name: str) -> Spread | None:
        """Mean and spread of a score on the fresh split, where there is one."""
        scores = fresh_scores(self.row)
        return _spread(scores, name) if scores else None


def standings(board: Board) -> dict[str, list[Standing]]:
    """Every track's rows: ranked ones in order, then the others by their public score.

    Tracks come by name, those with ranked rows first.
    """
    tracks: dict[str, list[Row]] = {}
    for row in sorted(board.rows, key=lambda row: (row.track, row.id)):
        tracks.setdefault(row.track, []).append(row)
    found = {track: _ranked(board, members) for track, members in tracks.items()}
    return dict(sorted(found.items(), key=_track_order))


def fresh_scores(row: Row) -> tuple[SeedScores, ...]:
    """Scores on the fresh split by seed; none for rows that were not re-executed."""
    if not isinstance(row, Entry) or row.verification is None:
        return ()
    return row.verification.fresh


def is_complete(row: Row) -> bool:
    """Whether all seeds are there."""
    return isinstance(row, Entry) and len(row.scores) == len(SEEDS)


def _ranked(board: Board, rows: Sequence[Row]) -> list[Standing]:
    latest = _latest(board, rows)
    reasons = {row.id: _unranked(board, row, latest) for row in rows}
    ranked = [row for row in rows if not reasons[row.id]]
    ranked.sort(key=_rank_score, reverse=True)
    found = []
    for i, row in enumerate(ranked):
        interval = None if i == 0 else difference_interval(_values(row), _values(ranked[0]))
        found.append(Standing(row, i + 1, interval=interval))
    others = [Standing(row, why=reasons[row.id]) for row in rows if reasons[row.id]]
    return found + sorted(others, key=_public_order)


def _latest(board: Board, rows: Sequence[Row]) -> Season | None:
    """The last of the published seasons in which any of the rows was verified."""
    seasons = [board.season(row) for row in rows if isinstance(row, Entry)]
    return next((season for season in reversed(board.seasons) if season in seasons), None)


def _unranked(board: Board, row: Row, latest: Season | None) -> str:
    """Why a row is not ranked; empty where it is."""
    if not isinstance(row, Entry):
        return "reported, not checked"
    if row.verification is None:
        return "recomputed, not run on fresh images"
    season = board.season(row)
    if season != latest:
        assert season is not None
        assert latest is not None
        return f"verified in season {season.name}, not yet in {latest.name}"
    if not is_complete(row):
        return f"seeds {', '.join(map(str, SEEDS))} are not all there"
    if row.one_training:
        return f"no training for each seed: {row.one_training[0].spelled()}"
    other = _contradicting(board, row)
    if other is not None:
        return (
            f"its data set and that of {other.id} have one name and different images; maintainers "
            "draw it and pin it"
        )
    return ""


def _contradicting(board: Board, row: Entry) -> Entry | None:
    """A row that would be ranked and has another data set of the same id, where none is pinned."""
    data = row.submission.data
    if data.id in board.pins:
        return None
    for other in board.rows:
        if isinstance(other, Entry) and other.verification is not None:
            there = other.submission.data
            fit = is_complete(other) and not other.one_training
            if fit and there.id == data.id and there != data:
                return other
    return None


def _track_order(track: tuple[str, list[Standing]]) -> tuple[bool, bool]:
    """Tracks with ranked rows first, then those with rows of ours."""
    _, members = track
    ranked = any(standing.rank is not None for standing in members)
    return not ranked, not any(isinstance(standing.row, Entry) for standing in members)


def _values(row: Row) -> list[float]:
    return [getattr(scores, RANKED_BY) for scores in fresh_scores(row)]


def _rank_score(row: Row) -> float:
    return spread(_values(row)).mean


def _public_order(standing: Standing) -> float:
    found = standing.public(RANKED_BY) or standing.public("r2")
    return 0.0 if found is None else -found.mean


def _spread(scores: Sequence[SeedScores], name: str) -> Spread:
    return spread([getattr(each, name) for each in scores])
