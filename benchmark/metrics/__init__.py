"""Metrics of how well codes recover latents."""

from benchmark.metrics.correlation.mcc_context import MccContext, mcc_context
from benchmark.metrics.disentanglement.dci import Dci, dci
from benchmark.metrics.disentanglement.information import Information, information
from benchmark.metrics.hue_ceiling import Ceiling, ceiling
from benchmark.metrics.probes import Probe, probe
from benchmark.metrics.readouts.blocks import Blocks, blocks
from benchmark.metrics.scores import Scores, score

__all__ = [
    "Blocks",
    "Ceiling",
    "Dci",
    "Information",
    "MccContext",
    "Probe",
    "Scores",
    "blocks",
    "ceiling",
    "dci",
    "information",
    "mcc_context",
    "probe",
    "score",
]
