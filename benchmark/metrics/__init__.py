"""Metrics of how well codes recover latents."""

from benchmark.metrics.correlation.mcc_context import MccContext, mcc_context
from benchmark.metrics.hue_ceiling import Ceiling, ceiling
from benchmark.metrics.probes import Probe, probe
from benchmark.metrics.scores import Scores, score

__all__ = ["Ceiling", "MccContext", "Probe", "Scores", "ceiling", "mcc_context", "probe", "score"]
