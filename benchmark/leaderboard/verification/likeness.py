"""Whether the seeds of a submission are trainings of their own, or one under several names.

Two trainings may agree in all that images say of their factors, and yet not in their mistakes:
these depend on the first weights and on the order of batches. So codes are compared by what is
left of them when the latents are taken out, as far as polynomials explain them: of the third
degree from 954 rows on, of the second below. They are compared by canonical correlations, which
no invertible linear map of codes changes. Squares and cubes of the codes join in, so that bending
each code does not hide it.

Measured: one training and a linear map of its codes, 1.00, with noise of 1 % on top 0.99, of 3 %
0.97. Two trainings: 0.64 to 0.68 (small nets on images, R^2 0.6, supervised and InfoNCE), 0.48 to
0.94 (nets that undo a mixing of latents without noise, R^2 0.995 to 0.78). On 256 rows, by the
second degree: 0.98 and more, and 0.75 to 0.87.

References:
    SVCCA: Singular Vector Canonical Correlation Analysis for Deep Learning Dynamics and
    Interpretability, Raghu et al., 2017, https://arxiv.org/abs/1706.05806
"""

from __future__ import annotations

import math
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALIKE = {"codes": 0.97, "weights": 0.5}  # beyond which two seeds are no two trainings
_ROUNDING = 1e-6  # of a code's spread: what float32 leaves
_DEGREES = (3, 2, 1)
_MOST_SHARE = 0.3  # polynomials a row: more would leave too little of any codes
_POWERS = (1, 2, 3)
_MOST_ROWS = 5000  # which say enough

Codes = NDArray[np.float32]


def likeness(latents: NDArray[np.float32], one: Codes, other: Codes) -> float:
    """How far two seeds share what the latents do not explain, in [0, 1].

    The mean of the largest canonical correlations, one for each code that has a remainder.

    Arguments:
        latents: of the rows, shape (N, n).
        one: codes of one seed, shape (N, k).
        other: codes of the other, shape (N, k).
    """
    latents, one, other = (rows[:_MOST_ROWS] for rows in (latents, one, other))
    known, codes = _known(latents), [_standard(each) for each in (one, other)]
    count = min(_basis(_remainder(known, each)).shape[1] for each in codes)
    if count == 0:
        return 0.0
    bent = [_standard(np.hstack([each**power for power in _POWERS])) for each in codes]
    bases = [_basis(_remainder(known, each)) for each in bent]
    correlations = np.linalg.svd(bases[0].T @ bases[1], compute_uv=False)
    return float(np.clip(correlations[:count], 0.0, 1.0).mean())


def _known(latents: NDArray[np.float32]) -> NDArray[np.float64]:
    """An orthonormal basis of the polynomials of the latents, shape (N, m)."""
    z = np.column_stack([np.ones(len(latents)), latents.astype(np.float64)])
    most, factors = _MOST_SHARE * len(z), latents.shape[1]
    degree = next((d for d in _DEGREES if math.comb(factors + d, d) <= most), _DEGREES[-1])
    products = combinations_with_replacement(range(factors + 1), degree)
    return _basis(np.stack([z[:, chosen].prod(axis=1) for chosen in products], axis=1))


def _standard(codes: NDArray[Any]) -> NDArray[np.float64]:
    """Those codes that vary, at zero mean and unit spread."""
    exact = codes.astype(np.float64)
    exact = exact - exact.mean(axis=0)
    spread = exact.std(axis=0)
    found: NDArray[np.float64] = exact[:, spread > 0] / spread[spread > 0]
    return found


def _remainder(known: NDArray[np.float64], codes: NDArray[np.float64]) -> NDArray[np.float64]:
    """What of standard codes the latents do not explain."""
    left: NDArray[np.float64] = codes - known @ (known.T @ codes)
    return left


def _basis(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """An orthonormal basis of the columns' span, but for what is rounding, shape (N, m)."""
    vectors, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    level = _ROUNDING * np.sqrt(len(columns))
    found: NDArray[np.float64] = vectors[:, sizes > level]
    return found
