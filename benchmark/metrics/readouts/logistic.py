"""Multinomial logistic regression with a small ridge, for factors that are categories.

It minimises the mean of -log p(class) over the fitted rows plus |W|^2 / (2 N), for standardised
codes. p is the softmax of W x + b.

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

_ROUNDS = 500


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
    logits = _fit(classes[:half], codes[:half], codes[half:], classes.max() + 1)
    return float((classes[half:] == logits.argmax(axis=1)).mean()), majority


def _fit(classes: NDArray[np.int64], codes: Array, new: Array, count: int) -> Array:
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
        ridge = weights.copy()
        ridge[-1] = 0.0
        value = (-(hot * logs).sum() + 0.5 * (ridge**2).sum()) / len(x)
        return value, ((x.T @ (np.exp(logs) - hot) + ridge) / len(x)).ravel()

    found = minimize(
        loss,
        np.zeros(x.shape[1] * count),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ROUNDS},
    )
    return np.asarray(onto @ found.x.reshape(x.shape[1], count))
