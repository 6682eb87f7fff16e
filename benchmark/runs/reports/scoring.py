"""Scores that a run takes once, after training: the context of MCC, blocks, own metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from warnings import catch_warnings

import numpy as np

from benchmark.config import Config
from benchmark.metrics.correlation.mcc_context import MccContext, mcc_context
from benchmark.metrics.custom import Outcome, find_metric, measure
from benchmark.metrics.readouts.blocks import Blocks, blocks, usual_groups
from benchmark.metrics.remarks import ScoreWarning
from benchmark.sources.source import Source
from benchmark.training.evaluation import scored_latents
from benchmark.training.folder import RunFolder
from threedident.runtime.files import load_npy

_MEANS = (
    "null_level",
    "held_out_mcc",
    "coverage",
    "weak_mcc",
    "ica_mcc",
    "effective_rank",
)


@dataclass(frozen=True, kw_only=True)
class Beside:
    """Further scores of one seed.

    Arguments:
        context: what stands beside its MCC.
        blocks: readouts of roles, or of the groups of 3DIdent; None if every factor is alone.
        own: outcomes of metrics of one's own, by the names that ``--metric`` gave.
    """

    context: MccContext
    blocks: Blocks | None
    own: dict[str, Outcome]

    def to_json(self) -> dict[str, Any]:
        """The three as plain numbers, texts and lists."""
        return {
            "mcc_context": self.context.to_json(),
            "blocks": None if self.blocks is None else self.blocks.to_json(),
            "own": {name: outcome.to_json() for name, outcome in self.own.items()},
        }


def scores_beside(folder: RunFolder, config: Config, source: Source, seed: int) -> Beside:
    """The further scores of one seed, from its stored codes."""
    codes = load_npy(folder.representations(seed)).astype(np.float64)
    latents = scored_latents(config, source, seed).astype(np.float64)
    labels, circular = source.labels, source.circular
    groups = source.roles() or usual_groups(labels)
    with catch_warnings(action="ignore", category=ScoreWarning):  # printed once per run
        return Beside(
            context=mcc_context(latents, codes, labels=labels, circular=circular),
            blocks=blocks(latents, codes, groups=groups, labels=labels, circular=circular)
            if len(groups) < len(labels)
            else None,
            own={
                name: measure(name, find_metric(name), latents, codes, seed)
                for name in config.metric
            },
        )


def means(found: Sequence[Beside]) -> dict[str, float | None]:
    """Means over seeds of the numbers beside MCC; None if a number is withheld for all seeds."""
    values = {name: [getattr(each.context, name) for each in found] for name in _MEANS}
    given = {name: [v for v in each if v is not None] for name, each in values.items()}
    return {name: float(np.mean(each)) if each else None for name, each in given.items()}
