"""Multinomial logistic regression with a small ridge, for factors that are categories or in bins.

It minimises the mean of -log p(class) over the N fitted rows plus c |W|^2 / (2 N), for
standardised codes. p is the softmax of W x + b. The ridge c is 1 for categories. It is 1e-4 for
bins, whose borders are sharp.

References:
    The Elements of Statistical Learning, section 4.4, Hastie, Tibshirani and Friedman, 2009,
    https://hastie.su.domains/ElemStatLearn/
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from benchmark.metrics.readouts.targets import Array

_ROUNDS = 200
_RIDGE_OF_BINS = 1e-4


def accuracies(classes: NDArray[np.int64], codes: Array) -> tuple[float, float]:
    """Accuracy on the second half of the rows, and that of the most frequent class.

    The regression and the most frequent class are fitted on the first half.

    Arguments:
        classes: number of the class of each row, from 0, shape (N,).
        codes: shape (N, m).
    """
    half = len(codes) // 2
    counts = np.bincount(classes[:half])
    majority = float((classes[half:] == counts.argmax()).mean())
    logits = _fit(classes[:half], codes[:half], codes[half:], int(classes.max()) + 1, 1.0)
    return float((classes[half:] == logits.argmax(axis=1)).mean()), majority


def explained_entropy(bins: NDArray[np.int64], codes: Array) -> float:
    """The share of the entropy of bins that the regression explains.

    This is 1 - L / L_0 on the second half of the rows, and at least 0. L is the mean of
    -log p(bin), and L_0 is its value for the frequencies of the bins alone. Both are fitted on the
    first half. Rows in a bin that the first half lacks are left out.

    Arguments:
        bins: number of the bin of each row, from 0, shape (N,).
        codes: shape (N, m).
    """
    half, count = len(codes) // 2, int(bins.max()) + 1
    shares = np.bincount(bins[:half], minlength=count) / half
    scored = np.flatnonzero(shares[bins[half:]]) + half
    logits = _fit(bins[:half], codes[:half], codes[scored], count, _RIDGE_OF_BINS)
    logs = np.take_along_axis(log_softmax(logits, axis=1), bins[scored, None], axis=1)
    return float(max(0.0, 1.0 - logs.mean() / np.log(shares[bins[scored]]).mean()))


def _fit(
    classes: NDArray[np.int64], codes: Array, new: Array, count: int, strength: float
) -> Array:
    spread = codes.std(axis=0)
    scale = np.where(spread > 0, spread, np.inf)
    x, onto = (
        np.pad((rows - codes.mean(axis=0)) / scale, ((0, 0), (0, 1)), constant_values=1.0)
        for rows in (codes, new)
    )
    hot = np.eye(count)[classes]

    def loss(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(x.shape[1], count)
        logs = log_softmax(x @ weights, axis=1)
        ridge = strength * weights
        ridge[-1] = 0.0
        value = (-(hot * logs).sum() + 0.5 * (ridge * weights).sum()) / len(x)
        return value, ((x.T @ (np.exp(logs) - hot) + ridge) / len(x)).ravel()

    found = minimize(
        loss,
        np.zeros(x.shape[1] * count),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ROUNDS},
    )
    return np.asarray(onto @ found.x.reshape(x.shape[1], count))
