"""Outcomes: the scores of finished rows of a suite."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.metrics.readouts.blocks import usual_groups
from benchmark.suites.table import Figure, Row
from benchmark.training.folder import RunFolder

_BESIDE = ("null_level", "held_out_mcc", "coverage", "weak_mcc", "ica_mcc")
_GROUP = "r2:"  # before the name of a group of factors
_ALWAYS = ("r2", "mcc", "mcc_spearman")


@dataclass(frozen=True)
class Outcome:
    """The scores of a finished row.

    Arguments:
        row: row of the table.
        scores: content of the ``scores.json`` of its run.
        records: scores over the steps, lines of its ``metrics.jsonl``.
    """

    row: Row
    scores: dict[str, Any]
    records: list[dict[str, Any]]

    def ours(self, score: str) -> Figure | None:
        """Our mean and standard deviation over the seeds, in percent.

        Arguments:
            score: a score with its standard deviation in ``scores.json``; one that stands beside
                MCC; or ``r2:GROUP``, nonlinear R^2 of a group of factors.

        Returns:
            None if the score is withheld for a seed, or if the run has no such group.
        """
        if not (score in _BESIDE or score.startswith(_GROUP)):
            sd = self.scores[f"{score}_sd"]
            return Figure(100 * float(self.scores[score]), None if sd is None else 100 * float(sd))
        found = [
            _of_seed(score, record, self.scores["factors"]) for record in self.scores["seeds"]
        ]
        given = [100 * value for value in found if value is not None]
        if len(given) < len(found):
            return None
        return Figure(float(np.mean(given)), float(np.std(given, ddof=1)) if given[1:] else None)

    @property
    def seeds(self) -> int:
        """Number of trained seeds."""
        return len(self.scores["seeds"])

    def paper(self, score: str) -> Figure | None:
        """The figure reported in the paper, or None."""
        return self.row.paper.get(score)

    def distance(self, score: str) -> float | None:
        """Our score minus the paper's, in standard deviations; None if one of them is unknown."""
        ours, paper = self.ours(score), self.paper(score)
        if ours is None or paper is None or ours.sd is None or paper.sd is None:
            return None
        spread = math.hypot(ours.sd, paper.sd)
        return (ours.mean - paper.mean) / spread if spread else None


def _of_seed(score: str, record: Mapping[str, Any], factors: Sequence[str]) -> float | None:
    """A score of one seed, in [0, 1]; groups are roles, or those of 3DIdent's factors."""
    if score in _BESIDE:
        value = record["mcc_context"][score]
        return None if value is None else float(value)
    blocks, group = record["blocks"], score.removeprefix(_GROUP)
    if blocks is not None and group in blocks["groups"]:
        return float(blocks["nonlinear"][blocks["groups"].index(group)][0])
    members = usual_groups(factors).get(group)
    values = record["probe"]["nonlinear_r2_per_factor"]
    return None if members is None else float(np.mean([values[i] for i in members]))


def read_outcome(row: Row, folder: RunFolder) -> Outcome | None:
    """The scores of a row; None if its run is not finished.

    Raises:
        ValueError: the file of the scores is damaged.
    """
    if not folder.scores.is_file():
        return None
    try:
        outcome = Outcome(row, folder.read_scores(), folder.scored())
        if not (outcome.seeds and all(map(outcome.ours, _ALWAYS))):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{folder.scores}: expected the scores of a run, found a damaged file; delete it, and "
            "the run is scored again"
        ) from None
    return outcome
