"""Maps of the latents under InfoNCE with the matching similarity: which reach the least loss.

The theorems name the maps h = f o g that minimise InfoNCE as M grows. Here h is given, and nothing
is trained: maps of the class have the loss of the identity, other maps have more.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch

from benchmark.losses import DotSimilarity, LpSimilarity, Similarity, info_nce
from threedident import Conditional, GeneralizedNormal, Laplace, Normal, VonMisesFisher

Array = npt.NDArray[np.float64]
Map = Callable[[Array], Array]
PAIRS = 4096
CLEARLY = 0.01  # nats; the least gap of a map outside its class is 0.015
BOX = {1: Laplace(0.2), 2: Normal(0.2), 3: GeneralizedNormal(0.3, beta=3.0)}
TEMPERATURES = {1: 0.2, 2: 2 * 0.2**2, 3: 0.3**3}


def turn(n: int, seed: int = 0) -> Array:
    """A random orthogonal matrix."""
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))
    return rotation


def unit(rows: Array) -> Array:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def loss(law: Conditional, z: Array, h: Map, similarity: Similarity, temperature: float) -> float:
    """InfoNCE of mapped latents; the pairs are the same for all maps."""
    positives = law.sample(z, 1)
    views = torch.from_numpy(h(z)), torch.from_numpy(h(positives))
    return info_nce(*views, similarity, temperature).item()


def on_sphere(h: Map, kappa: float = 5.0, n: int = 3) -> float:
    z = unit(np.random.default_rng(0).normal(size=(PAIRS, n)))
    return loss(VonMisesFisher(kappa), z, h, DotSimilarity(), 1 / kappa)


def in_box(h: Map, p: int, stretch: float = 1.0) -> float:
    """In [-1, 1]^3; ``stretch`` is what the temperature allows for."""
    z = np.random.default_rng(0).uniform(-1, 1, (PAIRS, 3))
    return loss(BOX[p], z, h, LpSimilarity(p), TEMPERATURES[p] * stretch**p)


def test_on_the_sphere_orthogonal_maps_reach_the_least_loss() -> None:
    least = on_sphere(lambda z: z)
    assert on_sphere(lambda z: z @ turn(3)) == pytest.approx(least, abs=1e-9)
    assert on_sphere(lambda z: unit(z * [1.0, 1.0, 2.0])) > least + CLEARLY
    assert on_sphere(lambda z: unit(z + 0.5 * z**2)) > least + CLEARLY
    assert on_sphere(lambda z: unit(z * [1.0, 1.0, 0.0])) > least + CLEARLY


@pytest.mark.parametrize("p", BOX)
def test_in_the_box_a_bent_map_has_more_loss(p: int) -> None:
    least = in_box(lambda z: z, p)
    assert in_box(lambda z: np.sign(z) * np.abs(z) ** 1.5, p) > least + CLEARLY
    assert in_box(lambda z: np.sin(1.5 * z), p) > least + CLEARLY
    assert in_box(lambda z: z * [1.0, 1.0, 0.0], p) > least + CLEARLY


@pytest.mark.parametrize("p", BOX)
def test_permutations_flips_and_rescalings_reach_the_least_loss(p: int) -> None:
    least = in_box(lambda z: z, p)
    assert in_box(lambda z: z[:, [2, 0, 1]] * [1, -1, 1], p) == pytest.approx(least, abs=1e-9)
    assert in_box(lambda z: -3.0 * z, p, stretch=3.0) == pytest.approx(least, abs=1e-9)


@pytest.mark.parametrize("p", BOX)
def test_rotations_cost_nothing_under_squares_alone(p: int) -> None:
    more = in_box(lambda z: z @ turn(3), p) - in_box(lambda z: z, p)
    if p == 2:
        assert more == pytest.approx(0, abs=1e-9)
    else:
        assert more > CLEARLY
