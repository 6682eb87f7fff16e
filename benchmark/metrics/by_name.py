"""Scores that runs take by name: ``--metric information`` and ``--metric dci-trees``.

They are slower than the scores of every run. Scores that a metric withholds are left out. An angle
without ends counts as a number in (-pi, pi].
"""

from __future__ import annotations

from collections.abc import Mapping

from benchmark.metrics.disentanglement.dci import dci
from benchmark.metrics.disentanglement.information import information as measured
from benchmark.metrics.readouts.targets import Array


def information(latents: Array, codes: Array, *, seed: int) -> dict[str, float]:
    """MIG, SAP, modularity and InfoMEC; see :func:`benchmark.metrics.information`.

    Arguments:
        latents: shape (N, n).
        codes: shape (N, m).
        seed: seed of the permutations.
    """
    return _given(measured(latents, codes, seed=seed).scores())


def dci_trees(latents: Array, codes: Array, *, seed: int) -> dict[str, float]:
    """DCI by gradient-boosted trees; see :func:`benchmark.metrics.dci`.

    Arguments:
        latents: shape (N, n).
        codes: shape (N, m).
        seed: seed of the trees.
    """
    found = dci(latents, codes, seed=seed, model="trees")
    return _given(
        {
            "disentanglement": found.disentanglement,
            "completeness": found.completeness,
            "informativeness": found.informativeness,
        }
    )


def _given(scores: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in scores.items() if value is not None}
