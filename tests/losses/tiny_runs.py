"""Tiny trainings on mixed latents, without a run's folder."""

from __future__ import annotations

from typing import Any

import torch

from benchmark.metrics.scores import Scores, score
from benchmark.ranks import Ranks
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.sources.source import Machine
from benchmark.training.evaluation import represent
from benchmark.training.objective import Objective

USUAL = {"source": "mixing", "factors": 3, "batch_size": 256, "learning_rate": 1e-3}
CPU = Machine(torch.device("cpu"))


def trained(**asked: Any) -> tuple[Scores, Objective]:
    """The scores and the objective after training on mixed latents."""
    options = complete(Options(**{**USUAL, **asked}))
    source = open_source(options)
    config = resolve(options, source)
    objective = Objective(config, source, 0, Ranks())
    optimizer = torch.optim.Adam(objective.parameters(), lr=config.learning_rate)
    torch.manual_seed(0)
    objective.train()
    for batch in source.batches(0, range(config.steps), config.batch_size, CPU):
        optimizer.zero_grad(set_to_none=True)
        objective(batch)["loss"].backward()
        optimizer.step()
    codes = represent(objective.model, config, source, 0, CPU)
    scores = score(
        latents=source.latents(0),
        representations=codes,
        spare_codes=codes.shape[1] > len(source.labels),
    )
    return scores, objective
