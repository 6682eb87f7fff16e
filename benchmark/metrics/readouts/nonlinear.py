"""A nonlinear readout: a linear one, and for each factor a curved part if held-out rows favour it.

The curved part predicts what the linear readout leaves. There are three kinds:

- splines of one direction of the codes (:mod:`benchmark.metrics.readouts.splines`), for factors
  that are bent one by one and then mixed linearly,
- kernel ridge regression (:mod:`benchmark.metrics.readouts.kernel`), for smooth maps and few rows,
- a network (:mod:`benchmark.metrics.readouts.network`), for all other maps, given at least 4,000
  rows in total.

All parts are fitted on the first half of the rows. To choose, they are fitted on seven eighths
of this half and predict the last eighth (up to a third, if rows are few). A factor takes the part
with the smallest error there, if it surely predicts better than the linear readout: by more than
three standard errors. Splines and kernel are then fitted on the whole first half. With fewer than
40 rows in total there is no curved part.

The linear part, splines and kernel are the same for all invertible affine maps of the codes, if
the linear part is least squares. The network starts from weights that are drawn in one orientation
of the whitened codes, so it is the same up to the scatter of its training. No part is invariant to
nonlinear maps of the codes.

If there are many codes, the curved parts use only the leading principal components, one for every
five fitted rows, and the network at most 512. With at most one code for ten rows in total, the
splines and the kernel use all components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.readouts.kernel import (
    KERNEL_ROWS,
    choose_kernels,
    kernel_part,
    typical_distance,
    whitened,
)
from benchmark.metrics.readouts.linear import FITTED_ROWS_PER_CODE, Fit, fit_linear
from benchmark.metrics.readouts.network import network_part
from benchmark.metrics.readouts.splines import spline_part
from benchmark.metrics.readouts.targets import Array, Targets

Part = Literal["line", "splines", "kernel", "network"]
PARTS: tuple[Part, ...] = get_args(Part)

_SURE = 3.0  # a curved part must reduce the error by this many standard errors
_HELD = 8  # one row in eight of the fitted half chooses the part,
_LEAST_HELD = 200  # but at least so many, as long as two thirds remain
_LEAST_FITTED = 20
_NETWORK_ROWS = 2000  # of the fitted half
_LEAST_GAIN = 1e-4  # share of the variance that a curved part must explain
_NEAR = 0.02  # share of the variance below which an error leaves nothing to a network


@dataclass(frozen=True, kw_only=True)
class NonlinearReadout:
    """What the nonlinear readout found.

    Arguments:
        r2: R^2 of each factor on the second half of the rows, shape (n,).
        parts: curved part of each factor; ``line`` if it has none.
        components: number of components of the codes that the kernel saw.
    """

    r2: Array
    parts: tuple[Part, ...]
    components: int


def read_nonlinear(wanted: Targets, codes: Array, seed: int, fit: Fit) -> NonlinearReadout:
    """R^2 of the nonlinear readout of each factor on the second half of the rows.

    Arguments:
        wanted: targets of all N rows.
        codes: shape (N, m).
        seed: seed of the rows that choose, and of the network.
        fit: method of the linear part.
    """
    half, n = len(codes) // 2, int(wanted.factor[-1]) + 1
    rows, scored = np.arange(half), np.arange(half, len(codes))
    points = whitened(codes[:half], codes, max(1, half // FITTED_ROWS_PER_CODE))
    components = points.shape[1]
    linear = fit_linear(wanted[:half], codes[:half], fit).predict(codes)
    if half < _LEAST_FITTED or not components:
        r2 = wanted[half:].r_squared(linear[half:])
        return NonlinearReadout(r2=r2, parts=(PARTS[0],) * n, components=components)
    order = np.random.default_rng(seed).permutation(half)
    held, fitted = np.split(order, [max(half // _HELD, min(half // 3, _LEAST_HELD))])
    line = fit_linear(wanted[fitted], codes[fitted], fit).predict(codes)
    left = Targets(columns=wanted.columns - line, factor=wanted.factor)
    residuals = left.columns[fitted]
    near = points / typical_distance(points[order[:KERNEL_ROWS]])
    some = fitted[:KERNEL_ROWS]
    kernels, by_kernel = choose_kernels(near[some], left.columns[some], near[held], left[held])
    by_splines = spline_part(wanted[fitted], residuals, points[fitted], points[held])
    guesses = [np.zeros_like(by_splines), by_splines, by_kernel]
    by_network = np.zeros_like(wanted.columns[half:])
    if half >= _NETWORK_ROWS and _something_left(wanted[held], left[held], guesses):
        network = network_part(
            left[fitted], points[fitted], left[held], (points[held], points[scored]), seed
        )
        guesses.append(network[0])
        by_network = line[half:] + network[1]
    least = _LEAST_GAIN * wanted.pooled(wanted.columns[fitted].var(axis=0))
    chosen = _choose(left[held], np.stack(guesses), least)
    settings = [kernels[i] if PARTS[chosen[i]] == "kernel" else None for i in wanted.factor]
    leaves = wanted.columns[rows] - linear[rows]
    some = order[-KERNEL_ROWS:]
    found = np.stack(
        [
            linear[half:],
            linear[half:] + spline_part(wanted[:half], leaves, points[:half], points[half:]),
            linear[half:] + kernel_part(near[some], leaves[some], near[half:], settings),
            by_network,
        ]
    )
    best = np.take_along_axis(found, chosen[wanted.factor][None, None], axis=0)[0]
    return NonlinearReadout(
        r2=wanted[half:].r_squared(best),
        parts=tuple(PARTS[i] for i in chosen),
        components=components,
    )


def _choose(left: Targets, guesses: Array, least: Array) -> NDArray[np.int64]:
    """Number of the part with the smallest error for each factor; 0 if none is surely better."""
    errors = left.pooled((left.columns - guesses) ** 2)
    best = errors.mean(axis=1).argmin(axis=0)
    gains = errors[0] - np.take_along_axis(errors, best[None, None], axis=0)[0]
    sure = gains.mean(axis=0) > least + _SURE * gains.std(axis=0) / np.sqrt(len(gains))
    return np.where(sure, best, 0)


def _something_left(held: Targets, left: Targets, guesses: list[Array]) -> bool:
    """True if the best guess leaves some factor an error worth a network."""
    errors = left.pooled(((left.columns - np.stack(guesses)) ** 2).mean(axis=1)).min(axis=0)
    return bool((errors > _NEAR * held.pooled(held.columns.var(axis=0))).any())
