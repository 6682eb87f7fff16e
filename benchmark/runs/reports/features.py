"""Scores of the features: the layer before the last, which a projector leaves behind."""

from __future__ import annotations

from typing import Any
from warnings import catch_warnings

import numpy as np

from benchmark.config import Config
from benchmark.metrics.probes import nonlinear_r2
from benchmark.metrics.remarks import ScoreWarning
from benchmark.metrics.scores import linear_r2
from benchmark.sources.source import Source
from benchmark.training.evaluation import read_features, scored_latents
from benchmark.training.folder import RunFolder


def feature_scores(folder: RunFolder, config: Config, source: Source) -> dict[str, Any] | None:
    """Linear and nonlinear R^2 of the features of a run, with mean and sample SD over seeds.

    None if the run stored no features for one of its seeds.

    Arguments:
        folder: folder of the run.
        config: configuration of the run.
        source: source with the test split.
    """
    found: dict[str, list[float]] = {"r2": [], "nonlinear_r2": []}
    width, circular = 0, source.circular
    for seed in config.seeds:
        features = read_features(folder, seed)
        if features is None:
            return None
        width, latents = features.shape[1], scored_latents(config, source, seed)
        with catch_warnings(action="ignore", category=ScoreWarning):  # printed once per run
            found["r2"].append(float(linear_r2(latents, features, circular=circular).mean()))
            found["nonlinear_r2"].append(
                float(nonlinear_r2(latents, features, circular=circular).mean())
            )
    scores: dict[str, Any] = {"width": width}
    for name, values in found.items():
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
        scores |= {name: float(np.mean(values)), f"{name}_sd": deviation}
    return scores
