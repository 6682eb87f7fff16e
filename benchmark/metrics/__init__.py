"""Metrics of how well codes recover latents."""

from benchmark.metrics.hue_ceiling import Ceiling, ceiling
from benchmark.metrics.probes import Probe, probe
from benchmark.metrics.scores import Scores, score

__all__ = ["Ceiling", "Probe", "Scores", "ceiling", "probe", "score"]
