"""Nonlinear scores of codes: R^2 of a nonlinear readout, and DCI.

A factor with low linear R^2 is either not encoded, or not linear in the codes. The nonlinear
readout distinguishes the two cases. It is the linear readout plus a kernel ridge regression of
its residuals, with kernel exp(-|a - b|^2 / (2 width^2)):

    z(code) = W code + b + k(code)' (K + ridge I)^-1 (z - W c - b)

Only the kernel part is penalised, and the linear part is fitted as for linear R^2, so linear
codes lose nothing. Codes are whitened for the kernel. If the linear part is least squares, the
score is therefore the same for all invertible affine maps of the codes, like linear R^2, and the
difference of the two scores is due to curvature alone. The score is a lower bound: with ten codes
that are all curved, more rows would give a higher score. If there are many codes, the kernel uses
only the leading principal components, one for every five fitted rows. With at most one code for
ten rows in total, it uses all components.

References:
    Kernel Methods for Pattern Analysis, on kernel ridge regression, Shawe-Taylor and
    Cristianini, 2004, https://doi.org/10.1017/CBO9780511809682
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import cho_factor, cho_solve

from benchmark.metrics.disentanglement.dci import Dci, dci_of_rows
from benchmark.metrics.readouts.linear import FITTED_ROWS_PER_CODE, Fit, fit_linear, suitable_fit
from benchmark.metrics.readouts.targets import Array, Circular, Targets, targets
from benchmark.metrics.remarks import warn
from benchmark.metrics.results import NONE, JsonRecord, ScoreTable, spell, spell_all
from benchmark.metrics.rows import paired_rows

_WIDTHS = (0.5, 1.0, 2.0, 4.0)  # relative to the root of the median squared distance
_RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
_KERNEL_ROWS = 1500
_CHUNK = 1000
_SURE = 2.0  # a kernel part must reduce the error by this many standard errors
_LEAST_SPREAD = 1e-6  # relative to the largest; smaller spreads are rounding of float32 codes
_Kernel = tuple[float, float] | None


@dataclass(frozen=True, kw_only=True, repr=False)
class Probe(JsonRecord, ScoreTable):
    """The scores that :func:`probe` measures, for n factors.

    Arguments:
        nonlinear_r2: mean of ``nonlinear_r2_per_factor``.
        nonlinear_r2_per_factor: R^2 of each factor, shape (n,), at most 1.
        dci: disentanglement, completeness and informativeness.
        readout: method that fitted the linear part of the nonlinear readout.
        components: number of principal components of the codes that its kernel part used; None
            in records of earlier versions.
    """

    nonlinear_r2: float
    nonlinear_r2_per_factor: Array
    dci: Dci
    readout: Fit = "least squares"
    components: int | None = None

    def card(self) -> dict[str, str]:
        """The mean scores, and the data and methods behind them."""
        facts = self.dci.card()
        kernel = f"kernel of {NONE if self.components is None else self.components} components"
        fit = f"{self.readout} and a {kernel}"
        return {"nonlinear R²": spell(self.nonlinear_r2), **facts, "fitted by": fit}

    def columns(self) -> dict[str, list[str]]:
        """The scores of each factor."""
        names, *scores = self.dci.columns().items()
        count = len(self.nonlinear_r2_per_factor)
        found = {"nonlinear R²": spell_all(self.nonlinear_r2_per_factor, count)}
        return dict([names, *found.items(), *scores])

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

    For 25,000 rows, one core takes one second for ten codes, five seconds for 512, and 40 seconds
    or more for 2,048.

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
    per_factor, components = _nonlinear_r2(targets(z, circular), codes, seed, fit)
    return Probe(
        nonlinear_r2=float(per_factor.mean()),
        nonlinear_r2_per_factor=per_factor,
        dci=dci_of_rows(z, codes, seed=seed, labels=labels, circular=circular),
        readout=fit,
        components=components,
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

    The linear part is fitted on the first half of the rows, the kernel part on at most 1,500 of
    them, drawn with ``seed``. For each factor, one of four widths and one of eight ridges is
    chosen: the pair that, fitted on one half of the drawn rows, predicts the other half best. A
    factor has no kernel part if none is surely better than the linear part alone.

    Arguments:
        latents: true factors z, shape (N, n).
        representations: codes with rows in the same order, shape (N, m).
        seed: seed of the random choice of rows for the kernel part.
        labels: names of the factors in messages; None for the numbers of their columns.
        circular: True for each factor that is an angle in rad, n entries; None if there is none.

    Raises:
        ValueError: for the same reasons as :func:`benchmark.metrics.scores.score`, but any number
            of codes is accepted.
    """
    z, codes = paired_rows(latents, representations, labels, circular)
    warn(z, codes, circular)
    fit = suitable_fit(len(z) // 2, codes.shape[1])
    return _nonlinear_r2(targets(z, circular), codes, seed, fit)[0]


def _nonlinear_r2(wanted: Targets, codes: Array, seed: int, fit: Fit) -> tuple[Array, int]:
    """R^2 of each factor, and the number of components that the kernel part used."""
    half = len(codes) // 2
    linear = fit_linear(wanted[:half], codes[:half], fit).predict(codes)
    points = whitened(codes[:half], codes, max(1, half // FITTED_ROWS_PER_CODE))
    chosen = np.random.default_rng(seed).permutation(half)[:_KERNEL_ROWS]
    width = float(np.sqrt(np.median(squared_distances(points[chosen], points[chosen])))) or 1.0
    points /= width
    settings = _best_settings(wanted[chosen], codes[chosen], points[chosen], fit)
    residuals = (wanted.columns - linear)[chosen]
    columns = [settings[factor] for factor in wanted.factor]
    curved = _kernel_part(points[chosen], residuals, points[half:], columns)
    return wanted[half:].r_squared(linear[half:] + curved), points.shape[1]


def gaussian(distances: Array, width: float) -> Array:
    """The kernel exp(-d / (2 width^2)) for squared distances d."""
    return np.asarray(np.exp(distances / (-2.0 * width**2)))


def squared_distances(a: Array, b: Array) -> Array:
    """|a_i - b_j|^2, shape (len(a), len(b))."""
    distances = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * (a @ b.T)
    return np.asarray(np.maximum(distances, 0.0))


def ridge_weights(kernel: Array, targets: Array, ridge: float) -> Array:
    """The product (K + ridge I)^-1 targets, shape (N, k).

    Arguments:
        kernel: K, symmetric and positive semidefinite, shape (N, N).
        targets: shape (N, k).
        ridge: positive number.
    """
    system = kernel + ridge * np.eye(len(kernel))
    return np.asarray(cho_solve(cho_factor(system, lower=True, overwrite_a=True), targets))


def whitened(reference: Array, rows: Array, most: int | None = None) -> Array:
    """Rows in coordinates in which the reference has mean 0 and identity covariance.

    Directions in which the standardised reference hardly varies are left out.

    Arguments:
        reference: rows that define the coordinates, shape (N, m).
        rows: rows to transform, shape (M, m).
        most: largest number of coordinates to keep, those with the largest variance first; None
            for all.
    """
    centre, spread = reference.mean(axis=0), reference.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    standard = (reference - centre) / scale
    _, spreads, directions = np.linalg.svd(standard, full_matrices=False)
    kept = spreads > _LEAST_SPREAD * max(spreads[0], 1.0)
    axes = directions[kept][:most].T * (np.sqrt(len(reference)) / spreads[kept][:most])
    return np.asarray((rows - centre) / scale @ axes)


def _best_settings(wanted: Targets, codes: Array, points: Array, fit: Fit) -> list[_Kernel]:
    """Width and ridge for each factor; None if the linear part alone is used."""
    fitted, held = slice(None, (len(codes) + 1) // 2), slice((len(codes) + 1) // 2, None)
    residuals = wanted.columns - fit_linear(wanted[fitted], codes[fitted], fit).predict(codes)
    settings: list[_Kernel] = [None, *product(_WIDTHS, _RIDGES)]
    predictions = [np.zeros_like(residuals[held])]
    distances = squared_distances(points, points[fitted])
    for width in _WIDTHS:
        kernel, onto = np.split(gaussian(distances, width), [fitted.stop])
        weights = [ridge_weights(kernel, residuals[fitted], ridge) for ridge in _RIDGES]
        predictions += [onto @ w for w in weights]
    errors = wanted.pooled((residuals[held] - np.stack(predictions)) ** 2)
    best = errors.mean(axis=1).argmin(axis=0)
    gains = errors[0] - np.take_along_axis(errors, best[None, None], axis=0)[0]
    sure = gains.mean(axis=0) > _SURE * gains.std(axis=0) / np.sqrt(len(gains))
    return [settings[b] if certain else None for b, certain in zip(best, sure, strict=True)]


def _kernel_part(
    points: Array, residuals: Array, new_points: Array, settings: Sequence[_Kernel]
) -> Array:
    """The kernel part of the prediction at new points, shape (new points, n)."""
    weights = {width: np.zeros_like(residuals) for width, _ in filter(None, settings)}
    distances = squared_distances(points, points)
    for width, at_width in weights.items():
        kernel = gaussian(distances, width)
        for setting in {s for s in settings if s is not None and s[0] == width}:
            mine = [s == setting for s in settings]
            at_width[:, mine] = ridge_weights(kernel, residuals[:, mine], setting[1])
    curved = np.zeros((len(new_points), residuals.shape[1]))
    for start in range(0, len(new_points), _CHUNK):
        rows = slice(start, start + _CHUNK)
        distances = squared_distances(new_points[rows], points)
        for width, at_width in weights.items():
            curved[rows] += gaussian(distances, width) @ at_width
    return curved
