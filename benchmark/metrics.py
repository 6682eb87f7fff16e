"""How well representations recover latents: linear R^2 and the mean correlation coefficient.

- R^2 of a factor: ordinary least squares with intercept from all codes, fitted on the first
  half of the rows and scored on the second.
- MCC: Pearson correlation of every factor with every code over all rows, absolute value,
  optimal one-to-one assignment of codes to factors, mean of the assigned values.

Rows are taken in the order given, so they must not be sorted.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import lstsq
from scipy.optimize import linear_sum_assignment

from threedident.arrays import as_float64

Array = NDArray[np.float64]

LEAST_ROWS = 4


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What :func:`score` measures, for n factors.

    Arguments:
        r2: mean of ``r2_per_factor``.
        mcc: mean absolute correlation of the factors with their assigned codes.
        r2_per_factor: shape (n,).
        correlation: Pearson correlation, factors x codes, signed, shape (n, n).
        assignment: the code assigned to each factor, shape (n,).
    """

    r2: float
    mcc: float
    r2_per_factor: Array
    correlation: Array
    assignment: NDArray[np.int64]

    def to_json(self) -> dict[str, object]:
        """Plain numbers and lists."""
        return {
            "r2": self.r2,
            "mcc": self.mcc,
            "r2_per_factor": self.r2_per_factor.tolist(),
            "correlation": self.correlation.tolist(),
            "assignment": self.assignment.tolist(),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Scores:
        """The inverse of :meth:`to_json`; other keys are passed over."""
        return cls(
            r2=record["r2"],
            mcc=record["mcc"],
            r2_per_factor=np.array(record["r2_per_factor"]),
            correlation=np.array(record["correlation"]),
            assignment=np.array(record["assignment"]),
        )


def score(latents: ArrayLike, representations: ArrayLike) -> Scores:
    """Score representations against the latents behind them.

    Arguments:
        latents: true factors z, shape (N, n).
        representations: codes f(x) in the same order of rows, shape (N, n).

    Raises:
        ValueError: shapes that do not fit, entries that are not finite, fewer than four rows,
            or a factor that is constant over the fitted or the scored half.
    """
    z, codes = _rows(latents, "latents"), _rows(representations, "representations")
    if z.shape != codes.shape:
        raise ValueError(
            f"representations: expected shape {z.shape} as the latents have (MCC pairs every "
            f"factor with one code), found {codes.shape}"
        )
    per_factor = linear_r2(z, codes)
    correlation = pearson(z, codes)
    factors, assignment = linear_sum_assignment(np.abs(correlation), maximize=True)
    return Scores(
        r2=float(per_factor.mean()),
        mcc=float(np.abs(correlation[factors, assignment]).mean()),
        r2_per_factor=per_factor,
        correlation=correlation,
        assignment=assignment,
    )


def linear_r2(latents: ArrayLike, representations: ArrayLike) -> Array:
    """R^2 of each factor on the second half of the rows, shape (n,); any number of codes.

    Raises:
        ValueError: as :func:`score` does.
    """
    z, codes = _rows(latents, "latents"), _rows(representations, "representations")
    if len(z) != len(codes):
        raise ValueError(f"representations: expected {len(z)} rows, found {len(codes)}")
    half = len(z) // 2
    prediction = linear_readout(z[:half], codes[:half], codes[half:])
    held_out = z[half:]
    _require_spread(np.minimum(np.ptp(held_out, axis=0), np.ptp(z[:half], axis=0)))
    spread = ((held_out - held_out.mean(axis=0)) ** 2).sum(axis=0)
    return np.asarray(1.0 - ((held_out - prediction) ** 2).sum(axis=0) / spread)


def linear_readout(latents: Array, codes: Array, new_codes: Array) -> Array:
    """Least-squares prediction of latents from ``new_codes``, fitted on (codes, latents)."""
    centre, offset = codes.mean(axis=0), latents.mean(axis=0)
    weights = lstsq(codes - centre, latents - offset)[0]
    return np.asarray((new_codes - centre) @ weights + offset)


def pearson(latents: ArrayLike, representations: ArrayLike) -> Array:
    """Pearson correlation of every factor with every code, shape (factors, codes).

    A constant code correlates with nothing: its entries are 0.
    """
    z, codes = _standardised(latents), _standardised(representations)
    return np.clip(z.T @ codes, -1.0, 1.0)


def _standardised(values: ArrayLike) -> Array:
    scaled = _scaled(as_float64(values))
    centred = scaled - scaled.mean(axis=0)
    norms = np.linalg.norm(centred, axis=0)
    constant = norms <= 1e-12 * np.sqrt(len(centred))
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, norms))


def _rows(values: ArrayLike, name: str) -> Array:
    rows = as_float64(values)
    if rows.ndim != 2 or len(rows) < LEAST_ROWS or rows.shape[1] == 0:
        raise ValueError(
            f"{name}: expected shape (N, n) with N >= {LEAST_ROWS}, found {rows.shape}"
        )
    if not np.isfinite(rows).all():
        bad = int(np.argwhere(~np.isfinite(rows))[0, 0])
        raise ValueError(f"{name}: expected finite numbers, found NaN or infinity in row {bad}")
    return _scaled(rows)


def _scaled(rows: Array) -> Array:
    """Columns divided by their largest magnitude, so that no square over- or underflows."""
    largest = np.abs(rows).max(axis=0)
    return np.asarray(rows / np.where(largest > 0, largest, 1.0))


def _require_spread(spread: Array) -> None:
    constant = np.flatnonzero(spread == 0.0)
    if len(constant):
        raise ValueError(
            f"latents: expected every factor to vary, found column {constant[0]} constant; "
            "R^2 is not defined for it, leave it out"
        )
