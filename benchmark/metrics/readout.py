"""How much of the latents codes hold in any form: a nonlinear readout, and DCI.

A factor with low linear R^2 is either not encoded or not linear in the codes. To tell the two
apart, the nonlinear readout adds to the linear one what kernel ridge regression makes of its
residuals, with kernel exp(-|a - b|^2 / (2 width^2)):

    z(code) = W code + b + k(code)' (K + ridge I)^-1 (z - W c - b)

The kernel part is penalised and the linear part is fitted as for linear R^2, so linear codes lose
nothing. Codes are whitened for the kernel: where the linear part is least squares, the score is
the same for all invertible affine maps of the codes, as linear R^2 is, and the difference of the
two is curvature alone. It is a lower bound: with ten codes that are all curved, more rows would
find more. Of many codes the kernel sees the leading principal components, one for five fitted
rows. Up to one code for ten rows of all, these are all components.

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

from benchmark.metrics.dci import Dci, dci_of_rows
from benchmark.metrics.linear import (
    FITTED_ROWS_PER_CODE,
    Array,
    Fit,
    fit_linear,
    r_squared,
    suitable_fit,
)
from benchmark.metrics.remarks import warn
from benchmark.metrics.results import NONE, JsonRecord, ScoreTable, spell, spell_all
from benchmark.metrics.scores import paired_rows

_WIDTHS = (0.5, 1.0, 2.0, 4.0)  # of the root of the median squared distance
_RIDGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
_KERNEL_ROWS = 1500
_CHUNK = 1000
_SURE = 2.0  # standard errors by which a kernel part must gain
_LEAST_SPREAD = 1e-6  # of the largest; directions below are the rounding of float32 codes
_Kernel = tuple[float, float] | None


@dataclass(frozen=True, kw_only=True, repr=False)
class Probe(JsonRecord, ScoreTable):
    """What :func:`probe` measures, for n factors.

    Arguments:
        nonlinear_r2: mean of ``nonlinear_r2_per_factor``.
        nonlinear_r2_per_factor: shape (n,), at most 1.
        dci: disentanglement, completeness and informativeness.
        readout: how the linear part of the nonlinear readout was fitted.
        components: how many principal components of the codes its kernel part saw; None in
            records of earlier versions.
    """

    nonlinear_r2: float
    nonlinear_r2_per_factor: Array
    dci: Dci
    readout: Fit = "least squares"
    components: int | None = None

    def card(self) -> dict[str, str]:
        """The means, and what they are from."""
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
        """Remarks on few rows, and on DCI that is withheld."""
        return self.dci.notes()

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and lists; those of DCI under ``dci``."""
        return {**super().to_json(), "dci": self.dci.to_json()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`; other keys are passed over."""
        return super().from_json({**record, "dci": Dci.from_json(record["dci"])})


def probe(
    latents: ArrayLike,
    representations: ArrayLike,
    *,
    seed: int = 0,
    labels: Sequence[str] | None = None,
) -> Probe:
    """The scores that are too slow to follow during training.

    For 25,000 rows, one core takes a second for ten codes, five seconds for 512, and 40 seconds or
    more for 2,048.

    Arguments:
        latents: true factors z, shape (N, n).
        representations: codes in the same order of rows, shape (N, m).
        seed: of the rows that choose and fit the readouts.
        labels: names of the factors, for the result and for messages; None for the numbers of
            their columns.

    Raises:
        ValueError: as :func:`benchmark.metrics.scores.score` does, but for any number of codes.
    """
    z, codes = paired_rows(latents, representations, labels)
    warn(z, codes)
    fit = suitable_fit(len(z) // 2, codes.shape[1])
    per_factor, components = _nonlinear_r2(z, codes, seed, fit)
    return Probe(
        nonlinear_r2=float(per_factor.mean()),
        nonlinear_r2_per_factor=per_factor,
        dci=dci_of_rows(z, codes, seed=seed, labels=labels),
        readout=fit,
        components=components,
    )


def nonlinear_r2(
    latents: ArrayLike,
    representations: ArrayLike,
    *,
    seed: int = 0,
    labels: Sequence[str] | None = None,
) -> Array:
    """R^2 of each factor on the second half of the rows, read nonlinearly, shape (n,).

    The linear part is fitted on the first half of the rows; the kernel part on at most 1,500 of
    them, drawn by ``seed``. Half of these choose, for each factor, one of four widths and one of
    eight ridges, by what the other half predicts best, or no kernel part where none
    surely gains.

    Arguments:
        latents: true factors z, shape (N, n).
        representations: codes in the same order of rows, shape (N, m).
        seed: of the rows for the kernel part.
        labels: what messages call the factors; None for the numbers of their columns.

    Raises:
        ValueError: as :func:`benchmark.metrics.scores.score` does, but for any number of codes.
    """
    z, codes = paired_rows(latents, representations, labels)
    warn(z, codes)
    return _nonlinear_r2(z, codes, seed, suitable_fit(len(z) // 2, codes.shape[1]))[0]


def _nonlinear_r2(z: Array, codes: Array, seed: int, fit: Fit) -> tuple[Array, int]:
    """R^2 of each factor, and how many components the kernel part saw."""
    half = len(z) // 2
    linear = fit_linear(z[:half], codes[:half], fit).predict(codes)
    points = whitened(codes[:half], codes, max(1, half // FITTED_ROWS_PER_CODE))
    chosen = np.random.default_rng(seed).permutation(half)[:_KERNEL_ROWS]
    width = float(np.sqrt(np.median(squared_distances(points[chosen], points[chosen])))) or 1.0
    points /= width
    settings = _best_settings(z[chosen], codes[chosen], points[chosen], fit)
    residuals = (z - linear)[chosen]
    curved = _kernel_part(points[chosen], residuals, points[half:], settings)
    return r_squared(z[half:], linear[half:] + curved), points.shape[1]


def gaussian(distances: Array, width: float) -> Array:
    """The kernel exp(-d / (2 width^2)) of squared distances d."""
    return np.asarray(np.exp(distances / (-2.0 * width**2)))


def squared_distances(a: Array, b: Array) -> Array:
    """|a_i - b_j|^2, shape (len(a), len(b))."""
    distances = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2.0 * (a @ b.T)
    return np.asarray(np.maximum(distances, 0.0))


def ridge_weights(kernel: Array, targets: Array, ridge: float) -> Array:
    """(K + ridge I)^-1 targets, shape as the targets.

    Arguments:
        kernel: K, symmetric and positive semidefinite, shape (N, N).
        targets: shape (N, k).
        ridge: positive.
    """
    system = kernel + ridge * np.eye(len(kernel))
    return np.asarray(cho_solve(cho_factor(system, lower=True, overwrite_a=True), targets))


def whitened(reference: Array, rows: Array, most: int | None = None) -> Array:
    """Rows in coordinates in which the reference has mean 0 and identity covariance.

    Directions in which the standardised reference hardly varies are left out. Of the others, the
    ``most`` in which it varies most are kept.
    """
    centre, spread = reference.mean(axis=0), reference.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    standard = (reference - centre) / scale
    _, spreads, directions = np.linalg.svd(standard, full_matrices=False)
    kept = spreads > _LEAST_SPREAD * max(spreads[0], 1.0)
    axes = directions[kept][:most].T * (np.sqrt(len(reference)) / spreads[kept][:most])
    return np.asarray((rows - centre) / scale @ axes)


def _best_settings(z: Array, codes: Array, points: Array, fit: Fit) -> list[_Kernel]:
    """Width and ridge of each factor; None where the linear part predicts best alone."""
    fitted, held = slice(None, (len(z) + 1) // 2), slice((len(z) + 1) // 2, None)
    residuals = z - fit_linear(z[fitted], codes[fitted], fit).predict(codes)
    settings: list[_Kernel] = [None, *product(_WIDTHS, _RIDGES)]
    predictions = [np.zeros_like(residuals[held])]
    distances = squared_distances(points, points[fitted])
    for width in _WIDTHS:
        kernel, onto = np.split(gaussian(distances, width), [fitted.stop])
        weights = [ridge_weights(kernel, residuals[fitted], ridge) for ridge in _RIDGES]
        predictions += [onto @ w for w in weights]
    errors = (residuals[held] - np.stack(predictions)) ** 2
    best = errors.mean(axis=1).argmin(axis=0)
    gains = errors[0] - np.take_along_axis(errors, best[None, None], axis=0)[0]
    sure = gains.mean(axis=0) > _SURE * gains.std(axis=0) / np.sqrt(len(gains))
    return [settings[b] if certain else None for b, certain in zip(best, sure, strict=True)]


def _kernel_part(
    points: Array, residuals: Array, new_points: Array, settings: Sequence[_Kernel]
) -> Array:
    """The kernel's share of the prediction at new points, shape (new, n)."""
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
