"""The Lasso by feature-sign search: minimisers w of w'Gw / 2 - w'c + penalty * |w|_1.

If the signs of the weights are known, the minimiser solves a linear system. Each round moves the
weights towards that solution, and stops where a weight would change its sign. When the solution
is reached, weights that are 0 and would lower the objective are freed. The search ends when no
such weight is left. It needs few rounds, even if codes are almost copies of each other.

Up to 32 codes, the systems of all targets and penalties are solved at once, and one weight is
freed at a time. With more codes, each target goes from its largest penalty to its smallest and
starts from the weights of the previous penalty. Its systems contain only the weights that are
not 0, and all weights that lower the objective are freed at once. Both ways find the same
minimiser.

References:
    Efficient Sparse Coding Algorithms, Lee, Battle, Raina and Ng, 2006,
    https://proceedings.neurips.cc/paper/2006/hash/2d71b2ae158c7c5912cc0bbde2bb9d95-Abstract.html
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

Array = NDArray[np.float64]

_AT_ONCE = 32  # largest number of codes for which all targets are solved at once
_ROUNDS = 30  # largest number of rounds, for each code
_SETTLED = 1e-10  # gains below this are rounding errors
_JITTER = 1e-12  # added to the diagonal, so that systems with copies of a code can be solved


def lasso(gram: Array, moments: Array, penalties: Array) -> Array:
    """Weights of all targets, with one penalty for each target.

    Arguments:
        gram: X'X / N of standardised inputs X, shape (m, m).
        moments: X'Y / N of inputs X and targets Y, shape (m, k).
        penalties: penalty of each target, >= 0, shape (k,).

    Returns:
        Weights, shape (m, k); 0 for inputs that are 0 in all rows.
    """
    return np.asarray(lasso_path(gram, moments, penalties[None])[0])


def lasso_path(gram: Array, moments: Array, penalties: Array) -> Array:
    """Weights of all targets at several penalties.

    Arguments:
        gram: as for :func:`lasso`.
        moments: as for :func:`lasso`.
        penalties: p penalties for each target, >= 0, shape (p, k).

    Returns:
        Weights, shape (p, m, k).
    """
    if len(gram) <= _AT_ONCE:
        weights = _all_at_once(gram, np.tile(moments, len(penalties)), penalties.ravel())
        return np.stack(np.split(weights, len(penalties), axis=1))
    paths = zip(moments.T, penalties.T, strict=True)
    return np.stack([_path(gram, target, steps) for target, steps in paths], axis=-1)


def _all_at_once(gram: Array, moments: Array, penalties: Array) -> Array:
    weights, signs = np.zeros_like(moments), np.zeros_like(moments)
    arrived = np.ones(moments.shape[1], dtype=bool)
    for _ in range(_ROUNDS * len(gram)):
        slope = moments - gram @ weights
        gain = np.where((signs == 0) & arrived, np.abs(slope) - penalties, 0.0)
        freed = (gain > _SETTLED) & (gain == gain.max(axis=0))
        if arrived.all() and not freed.any():
            break
        signs = np.where(freed, np.sign(slope), signs)
        weights, arrived = _along_signs(weights, signs, gram, moments - penalties * signs)
        signs = np.where(weights == 0, 0.0, signs)
    return weights


def _along_signs(
    weights: Array, signs: Array, gram: Array, moments: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Weights after a move towards Gw = c, and whether each target reached the solution.

    Weights with the sign 0 stay 0. The move of a target stops where one of its weights reaches 0.
    """
    live = np.abs(signs).T
    systems = gram * live[:, :, None] * live[:, None, :]
    systems += np.eye(len(gram)) * (1.0 - live + _JITTER)[:, :, None]
    goals = np.linalg.solve(systems, (moments.T * live)[..., None])[..., 0].T
    crosses = signs * goals < 0.0
    reach = np.where(crosses, weights / np.where(crosses, weights - goals, 1.0), 1.0)
    shortest = reach.min(axis=0)
    stops = crosses & (reach == shortest)
    return np.where(stops, 0.0, weights + shortest * (goals - weights)), ~stops.any(axis=0)


def _path(gram: Array, moments: Array, penalties: Array) -> Array:
    """Weights of one target at each of its penalties, shape (p, m)."""
    found, weights = np.zeros((len(penalties), len(gram))), np.zeros(len(gram))
    for i in np.argsort(-penalties):
        weights = _minimise(gram, moments, penalties[i], weights)
        found[i] = weights
    return found


def _minimise(gram: Array, moments: Array, penalty: float, weights: Array) -> Array:
    """The minimiser for one target and penalty, started from the weights of another penalty."""
    weights, arrived = _advance(weights, np.zeros_like(weights), gram, moments, penalty)
    for _ in range(_ROUNDS * len(gram)):
        freed = np.zeros_like(weights)
        if arrived:
            slope = moments - gram @ weights
            gains = (weights == 0) & (np.abs(slope) > penalty + _SETTLED)
            freed = np.where(gains, slope, 0.0)
            if not freed.any():
                break
        before = weights
        weights, arrived = _advance(weights, freed, gram, moments, penalty)
        if arrived and np.array_equal(weights, before):  # the remaining gain is a rounding error
            break
    return weights


def _advance(
    weights: Array, freed: Array, gram: Array, moments: Array, penalty: float
) -> tuple[Array, bool]:
    """Weights after a move towards the minimiser for these signs, and whether they reached it.

    The move stops where a weight reaches 0. Weights that are freed together can move against
    their slopes; such weights are not freed. If this applies to all of them, only the weight with
    the steepest slope is freed, which surely lowers the objective.
    """
    goals = _goals(weights, freed, gram, moments, penalty)
    while (against := freed * goals < 0.0).any():
        if np.array_equal(against, freed != 0):
            if against.sum() == 1:
                return weights, True
            against = np.arange(len(freed)) != np.abs(freed).argmax()
        freed = np.where(against, 0.0, freed)
        goals = _goals(weights, freed, gram, moments, penalty)
    crosses = weights * goals < 0.0
    if not crosses.any():
        return goals, True
    reach = np.where(crosses, weights / np.where(crosses, weights - goals, 1.0), 1.0)
    stops = crosses & (reach == reach.min())
    return np.where(stops, 0.0, weights + reach.min() * (goals - weights)), False


def _goals(weights: Array, freed: Array, gram: Array, moments: Array, penalty: float) -> Array:
    """The minimiser for the signs of the weights and the freed slopes; 0 where both are 0."""
    signs = np.sign(weights) + np.sign(freed)
    [live] = np.nonzero(signs)
    goals = np.zeros_like(weights)
    if len(live):
        system = gram[np.ix_(live, live)]
        system[np.diag_indices(len(live))] += _JITTER
        goals[live] = _solve(system, moments[live] - penalty * signs[live])
    return goals


def _solve(system: Array, goal: Array) -> Array:
    """The solution of a system that is positive definite, except for rounding errors."""
    try:
        return np.asarray(cho_solve(cho_factor(system, lower=True), goal))
    except LinAlgError:
        return np.linalg.solve(system, goal)
