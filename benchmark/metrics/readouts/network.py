"""A network that predicts residuals from whitened codes, with early stopping for each factor.

It has two hidden layers of 256 leaky rectifiers of slope 0.2, and starts as the constant 0. Adam
minimises the mean squared error over the fitted rows in batches of 128, with one cycle of the
learning rate. Each factor keeps the predictions of the step that predicts its held-out rows best.
Training ends early if no factor has gained anything after a fifth of the steps.

References:
    Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates, on the
    cycle of the learning rate, Smith and Topin, 2017, https://arxiv.org/abs/1708.07120
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import leaky_relu

from benchmark.metrics.readouts.targets import Array, Targets

_WIDTH = 256
_SLOPE = 0.2
_BATCH = 128
_STEPS = 6000
_EPOCHS = 150  # at most
_CHECKS = 50
_LEARNING_RATE = 4e-3
_MOST_INPUTS = 512  # whitened codes that the network sees


def network_part(
    residuals: Targets, points: Array, held: Targets, others: tuple[Array, Array], seed: int
) -> tuple[Array, Array]:
    """Predictions of the residuals of held-out rows and of new rows.

    Arguments:
        residuals: what is predicted, for N fitted rows.
        points: whitened codes of the fitted rows, shape (N, c).
        held: residuals of the held-out rows, which choose the step.
        others: whitened codes of the held-out rows and of the new rows.
        seed: seed of the first weights and of the batches.
    """
    rng = np.random.default_rng(seed)
    scale = residuals.columns.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    x, *places = (_tensor(rows[:, :_MOST_INPUTS]) for rows in (points, *others))
    y = _tensor(residuals.columns / scale)
    weights = _first_weights([x.shape[1], _WIDTH, _WIDTH, y.shape[1]], rng)
    steps = min(_STEPS, math.ceil(_EPOCHS * len(x) / _BATCH))
    optimizer = torch.optim.Adam(weights, lr=_LEARNING_RATE)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _LEARNING_RATE, total_steps=steps, pct_start=0.1
    )
    found = [np.zeros((len(rows), y.shape[1])) for rows in others]
    best = first = held.pooled((held.columns**2).sum(axis=0))
    batches = _batches(len(x), rng)
    for step in range(1, steps + 1):
        rows = torch.from_numpy(next(batches))
        optimizer.zero_grad()
        ((_forward(weights, x[rows]) - y[rows]) ** 2).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        cycle.step()
        if step % max(1, steps // _CHECKS) and step < steps:
            continue
        guess = _predict(weights, places[0]) * scale
        errors = held.pooled(((held.columns - guess) ** 2).sum(axis=0))
        better = (errors < best)[held.factor]
        if better.any():
            found[0][:, better] = guess[:, better]
            found[1][:, better] = (_predict(weights, places[1]) * scale)[:, better]
            best = np.minimum(best, errors)
        if step > steps / 5 and (best == first).all():
            break
    return found[0], found[1]


def _tensor(rows: Array) -> Tensor:
    return torch.from_numpy(rows.astype(np.float32))


def _first_weights(sizes: list[int], rng: np.random.Generator) -> list[Tensor]:
    """Matrices and offsets of all layers; those of the last layer are 0."""
    found = []
    for i, (before, after) in enumerate(pairwise(sizes)):
        reach = 0.0 if i == len(sizes) - 2 else 1.0 / math.sqrt(before)
        found += [_tensor(rng.uniform(-reach, reach, shape)) for shape in ((before, after), after)]
    return [values.requires_grad_() for values in found]


def _batches(rows: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    size = min(_BATCH, rows)
    while True:
        order = rng.permutation(rows)
        for start in range(0, rows - size + 1, size):
            yield order[start : start + size]


def _forward(weights: list[Tensor], x: Tensor) -> Tensor:
    for i in range(0, len(weights) - 2, 2):
        x = leaky_relu(torch.addmm(weights[i + 1], x, weights[i]), _SLOPE)
    return torch.addmm(weights[-1], x, weights[-2])


@torch.no_grad()
def _predict(weights: list[Tensor], x: Tensor) -> Array:
    return _forward(weights, x).double().numpy()
