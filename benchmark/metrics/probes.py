"""Nonlinear scores of codes: R^2 of a nonlinear readout, and DCI.

A factor with low linear R^2 is either not encoded, or not linear in the codes. The nonlinear
readout distinguishes the two cases. It is the linear readout plus a curved part that is used only
where held-out rows favour it, so linear codes lose nothing. See
:mod:`benchmark.metrics.readouts.nonlinear`. The score is a lower bound of what codes hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from numpy.typing import ArrayLike

from benchmark.metrics.disentanglement.dci import Dci, dci_of_rows
from benchmark.metrics.readouts.linear import Fit, suitable_fit
from benchmark.metrics.readouts.nonlinear import read_nonlinear
from benchmark.metrics.readouts.targets import Array, Circular, targets
from benchmark.metrics.remarks import warn
from benchmark.metrics.results import NONE, JsonRecord, ScoreTable, spell, spell_all
from benchmark.metrics.rows import paired_rows


@dataclass(frozen=True, kw_only=True, repr=False)
class Probe(JsonRecord, ScoreTable):
    """The scores that :func:`probe` measures, for n factors.

    Arguments:
        nonlinear_r2: mean of ``nonlinear_r2_per_factor``.
        nonlinear_r2_per_factor: R^2 of each factor, shape (n,), at most 1.
        dci: disentanglement, completeness and informativeness.
        readout: method that fitted the linear part of the nonlinear readout.
        components: number of principal components of the codes that its curved parts used; None
            in records of earlier versions.
        parts: curved part of each factor: ``line`` (none), ``splines``, ``kernel`` or
            ``network``; None in records of earlier versions.
    """

    nonlinear_r2: float
    nonlinear_r2_per_factor: Array
    dci: Dci
    readout: Fit = "least squares"
    components: int | None = None
    parts: tuple[str, ...] | None = None

    def card(self) -> dict[str, str]:
        """The mean scores, and the data and methods behind them."""
        facts = self.dci.card()
        seen = NONE if self.components is None else self.components
        fit = f"{self.readout}, curved parts from {seen} components"
        return {"nonlinear R²": spell(self.nonlinear_r2), **facts, "fitted by": fit}

    def columns(self) -> dict[str, list[str]]:
        """The scores of each factor."""
        names, *scores = self.dci.columns().items()
        count = len(self.nonlinear_r2_per_factor)
        nonlinear = "nonlinear R²", spell_all(self.nonlinear_r2_per_factor, count)
        parts = [] if self.parts is None else [("read by", list(self.parts))]
        return dict([names, nonlinear, *scores, *parts])

    def notes(self) -> list[str]:
        """Remarks on too few rows, and on DCI scores that are withheld."""
        return self.dci.notes()

    def to_json(self) -> dict[str, Any]:
        """The record as plain numbers and lists, with DCI under the key ``dci``."""
        return {**super().to_json(), "dci": self.dci.to_json()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`. Other keys are ignored."""
        return super().from_json({**record, "dci": Dci.from_json(record["dci"])})


def probe(
    latents: ArrayLike,
    representations: ArrayLike,
    *,
    seed: int = 0,
    labels: Sequence[str] | None = None,
    circular: Circular = None,
) -> Probe:
    """The scores that are too slow to compute regularly during training.

    For 25,000 rows, one core takes at most 20 seconds for ten codes and 30 seconds for 512. For
    2,048, the linear part alone takes a minute.

    Arguments:
        latents: true factors z, shape (N, n).
        representations: codes with rows in the same order, shape (N, m).
        seed: seed of the random choice of rows that select and fit the readouts.
        labels: names of the factors, for the result and for messages; None for the numbers of
            their columns.
        circular: True for each factor that is an angle in rad, n entries; None if there is none.

    Raises:
        ValueError: for the same reasons as :func:`benchmark.metrics.scores.score`, but any number
            of codes is accepted.
    """
    z, codes = paired_rows(latents, representations, labels, circular)
    warn(z, codes, circular)
    fit = suitable_fit(len(z) // 2, codes.shape[1])
    found = read_nonlinear(targets(z, circular), codes, seed, fit)
    return Probe(
        nonlinear_r2=float(found.r2.mean()),
        nonlinear_r2_per_factor=found.r2,
        dci=dci_of_rows(z, codes, seed=seed, labels=labels, circular=circular),
        readout=fit,
        components=found.components,
        parts=found.parts,
    )


def nonlinear_r2(
    latents: ArrayLike,
    representations: ArrayLike,
    *,
    seed: int = 0,
    labels: Sequence[str] | None = None,
    circular: Circular = None,
) -> Array:
    """R^2 of the nonlinear readout of each factor, on the second half of the rows, shape (n,).

    Arguments:
        latents: true factors z, shape (N, n).
        representations: codes with rows in the same order, shape (N, m).
        seed: seed of the random choice of rows that choose the curved part.
        labels: names of the factors in messages; None for the numbers of their columns.
        circular: True for each factor that is an angle in rad, n entries; None if there is none.

    Raises:
        ValueError: for the same reasons as :func:`benchmark.metrics.scores.score`, but any number
            of codes is accepted.
    """
    z, codes = paired_rows(latents, representations, labels, circular)
    warn(z, codes, circular)
    fit = suitable_fit(len(z) // 2, codes.shape[1])
    return read_nonlinear(targets(z, circular), codes, seed, fit).r2
