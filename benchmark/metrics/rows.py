"""Rows of latents and codes: the checks that every metric makes, and the scale of columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from benchmark.metrics.readouts.linear import ROUNDING, least_spread
from benchmark.metrics.readouts.targets import Array, Circular, targets
from threedident.runtime.arrays import as_float64

LEAST_ROWS = 4
_SWAP = "if the two are swapped, call with latents=..., representations=..."


def paired_rows(
    latents: ArrayLike,
    representations: ArrayLike,
    labels: Sequence[str] | None = None,
    circular: Circular = None,
) -> tuple[Array, Array]:
    """Latents and codes after checks, each column divided by its largest magnitude.

    Circular factors keep their unit, rad.

    Arguments:
        latents: shape (N, n).
        representations: shape (N, m).
        labels: names of the factors, see :func:`benchmark.metrics.score`.
        circular: True for each circular factor, see :func:`benchmark.metrics.score`.

    Raises:
        ValueError: for the same reasons as :func:`benchmark.metrics.score`, but any number of
            codes is accepted.
    """
    z, codes = _rows(latents, "latents"), _rows(representations, "representations")
    if len(z) != len(codes):
        raise ValueError(
            f"representations: expected shape {z.shape} as the latents have, found {codes.shape}; "
            "give one row of codes for each row of latents"
        )
    n = z.shape[1]
    names = [f"column {i}" for i in range(n)] if labels is None else labels
    if len(names) != n:
        swap = f"; {_SWAP}" if len(names) == codes.shape[1] else ""
        raise ValueError(f"labels: expected {n}, one a factor, found {len(names)}{swap}")
    kinds = np.zeros(n, dtype=bool) if circular is None else _kinds(circular, n)
    z, codes = np.where(kinds, z, scaled(z)), scaled(codes)
    may_be_swapped = labels is None and bool((least_spread(codes) > ROUNDING).all())
    _require_spread(z, kinds.tolist(), names, f"; {_SWAP}" if may_be_swapped else "")
    return z, codes


def require_a_code_each(
    latents: ArrayLike, representations: ArrayLike, spare_codes: bool, missing_codes: bool
) -> tuple[Array, Array]:
    """Check the number of codes: MCC assigns a different code to every factor.

    Returns:
        Latents and codes as float64.

    Raises:
        ValueError: there are too few codes and ``missing_codes`` is False, or too many and
            ``spare_codes`` is False.
    """
    z, codes = _rows(latents, "latents"), _rows(representations, "representations")
    factors, m = z.shape[1], codes.shape[1]
    fits = m == factors or (missing_codes if m < factors else spare_codes)
    if len(z) == len(codes) and not fits:
        advice = f"pass spare_codes=True to score all {m} (MCC then assigns {factors} of them)"
        if m < factors:
            advice = f"give more codes, pass missing_codes=True, or, {_SWAP}"
        raise ValueError(
            f"representations: expected shape {z.shape} as the latents have (MCC assigns every "
            f"factor a code of its own), found {codes.shape}; {advice}"
        )
    return z, codes


def scaled(rows: Array) -> Array:
    """Columns divided by their largest magnitude, so that squares do not over- or underflow."""
    largest = np.abs(rows).max(axis=0)
    return np.asarray(rows / np.where(largest > 0, largest, 1.0))


def _rows(values: ArrayLike, name: str) -> Array:
    rows = as_float64(values)
    if rows.ndim != 2 or len(rows) < LEAST_ROWS or rows.shape[1] == 0:
        raise ValueError(
            f"{name}: expected shape (N, n) with N >= {LEAST_ROWS}, found {rows.shape}"
        )
    if not np.isfinite(rows).all():
        bad = int(np.argwhere(~np.isfinite(rows))[0, 0])
        raise ValueError(f"{name}: expected finite numbers, found NaN or infinity in row {bad}")
    return rows


def _kinds(circular: Sequence[bool], n: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """The kinds of the factors as an array.

    Raises:
        ValueError: there is not one bool for each factor.
    """
    values = list(circular)
    bools = all(isinstance(value, bool | np.bool_) for value in values)
    if len(values) != n or not bools:
        found = str(len(values)) if bools else repr(values)
        raise ValueError(
            f"circular: expected {n} bools, one a factor, found {found}; give True for each "
            "factor that is an angle in rad, and False for the others"
        )
    return np.array(values, dtype=bool)


def _require_spread(z: Array, circular: Sequence[bool], names: Sequence[str], advice: str) -> None:
    seen = targets(z, circular)
    varies = seen.pooled((least_spread(seen.columns) > ROUNDING).astype(np.float64))
    constant = np.flatnonzero(varies == 0)
    if len(constant):
        raise ValueError(
            f"latents: expected every factor to vary, found {names[constant[0]]} constant; "
            f"scores are not defined for it, leave it out or take rows in which it varies{advice}"
        )
