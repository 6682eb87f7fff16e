"""The anisotropic law on the sphere, by quadrature and by rejection from von Mises-Fisher."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from tests.conditionals.laws import LEVEL, LIBRARIES, N, angle_cdf, between, draw, unit
from threedident.conditionals.anisotropic import Anisotropic, _envelope_width, _propose
from threedident.conditionals.sphere import VonMisesFisher

LAWS = [Anisotropic(0.3, 4.0), Anisotropic(2.0, 10.0), Anisotropic(50.0, 5.0)]


def log_density(law: Anisotropic, z: np.ndarray, points: np.ndarray) -> np.ndarray:
    weights = law.kappa * np.linspace(1, law.ratio, len(z))
    return -0.5 * (weights * (points - z) ** 2).sum(axis=-1)


def grid(dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of the circle or the sphere, and the area that each stands for."""
    if dimension == 2:
        angles = (np.arange(20_000) + 0.5) / 20_000 * 2 * np.pi
        return np.stack([np.cos(angles), np.sin(angles)], axis=1), np.ones(len(angles))
    heights, weights = np.polynomial.legendre.leggauss(800)
    angles = (np.arange(800) + 0.5) / 800 * 2 * np.pi
    radius = np.sqrt(1 - heights**2)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.concatenate(
        [
            (radius[:, None, None] * circle).reshape(-1, 2),
            np.repeat(heights, len(angles))[:, None],
        ],
        axis=1,
    )
    # turned, so that no two points have the same coordinate
    return points @ stats.ortho_group.rvs(3, random_state=0), np.repeat(weights, len(angles))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("law", LAWS, ids=lambda law: f"{law.kappa}-{law.ratio}")
@pytest.mark.parametrize("dimension", [2, 3])
def test_coordinates_follow_their_density(dimension: int, law: Anisotropic, library: str) -> None:
    points, area = grid(dimension)
    for anchor in (np.eye(dimension)[0], unit(np.random.default_rng(5), 1, dimension)[0]):
        samples = draw(law, np.tile(anchor, (N, 1)), 3, library)
        assert np.linalg.norm(samples, axis=1) == pytest.approx(1, abs=1e-12)
        mass = area * np.exp(log_density(law, anchor, points))
        mass /= mass.sum()
        for direction in (*np.eye(dimension), anchor):
            order = np.argsort(points @ direction, kind="stable")
            places, cdf = (points @ direction)[order], np.cumsum(mass[order])
            found = stats.kstest(samples @ direction, lambda x: np.interp(x, places, cdf))  # noqa: B023
            assert found.pvalue > LEVEL
        second = np.einsum("p,pi,pj->ij", mass, points, points)
        assert samples.T @ samples / N == pytest.approx(second, abs=5 / np.sqrt(N))


def test_in_more_dimensions_it_is_rejection_from_von_mises_fisher() -> None:
    rng, law = np.random.default_rng(0), Anisotropic(2.0, 3.0)
    z = unit(rng, 1, 6)[0]
    proposed = VonMisesFisher(law.kappa).sample(np.tile(z, (8 * N, 1)), rng)
    excess = log_density(law, z, proposed) - log_density(Anisotropic(2.0, 1.0), z, proposed)
    expected = proposed[np.log(rng.uniform(size=8 * N)) < excess]
    assert len(expected) > N / 2
    found = law.sample(np.tile(z, (N, 1)), rng)
    for direction in (*np.eye(6), z):
        assert stats.ks_2samp(found @ direction, expected @ direction).pvalue > LEVEL


@pytest.mark.parametrize("dimension", [2, 3, 8])
@pytest.mark.parametrize("kappa", [0.5, 10.0, 1e6])
def test_equal_concentrations_are_von_mises_fisher(dimension: int, kappa: float) -> None:
    z = unit(np.random.default_rng(1), N, dimension)
    angles = between(z, Anisotropic(kappa, 1.0).sample(z, 2))
    assert stats.kstest(angles, angle_cdf(VonMisesFisher(kappa), dimension)).pvalue > LEVEL


def test_a_positive_depends_on_its_own_anchor_and_number_alone() -> None:
    rng, law = np.random.default_rng(3), Anisotropic(20.0, 8.0)
    z, u = unit(rng, 500, 5), rng.uniform(size=(500, 1))
    whole = law.transform(z, u)
    order = rng.permutation(500)[:40]
    assert np.array_equal(law.transform(z[order], u[order]), whole[order])
    tensors = law.transform(z, torch.tensor(u))
    assert tensors.numpy() == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize(
    ("law", "dimension"),
    [(Anisotropic(5.0), 10), (Anisotropic(500.0), 10), (Anisotropic(0.2), 50)],
)
def test_a_fair_share_of_proposals_is_accepted(law: Anisotropic, dimension: int) -> None:
    rng = np.random.default_rng(4)
    z, u = unit(rng, 5000, dimension), rng.uniform(size=(5000, dimension + 3))
    weights = law.concentrations(dimension)
    points, accepted = _propose(z, weights, _envelope_width(law, dimension), u)
    assert np.linalg.norm(points, axis=1) == pytest.approx(1, abs=1e-12)
    assert accepted.mean() > 0.2


def test_the_envelope_is_nowhere_below_the_density() -> None:
    """The share of accepted proposals would be above 1 there."""
    rng = np.random.default_rng(6)
    for law in (*LAWS, Anisotropic(1e-3, 1.0), Anisotropic(1e4, 100.0)):
        for dimension in (2, 4, 9):
            width = _envelope_width(law, dimension)
            assert 0 < width <= dimension
            z = unit(rng, 4000, dimension)
            weights = law.concentrations(dimension)
            a = (weights * z * z).sum(1)
            x = np.concatenate(
                [unit(rng, 2000, dimension), z[2000:] + 1e-3 * rng.normal(size=(2000, dimension))]
            )
            x /= np.linalg.norm(x, axis=1, keepdims=True)
            t = (weights * z * x).sum(1)
            bend = 0.5 * ((weights * x * x).sum(1) - t**2 / a)
            both = np.exp(-((t - a) ** 2) / (2 * a)) + np.exp(-((t + a) ** 2) / (2 * a))
            assert (both <= 1 + np.exp(-a / 2) + 1e-12).all()
            bound = (dimension / width) ** (dimension / 2) * np.exp(-(dimension - width) / 2)
            ratio = np.exp(-bend) * (1 + 2 * bend / width) ** (dimension / 2) / bound
            assert (ratio <= 1 + 1e-9).all()
            exact = log_density(law, z[0], x[0])
            assert -bend[0] - (t[0] - a[0]) ** 2 / (2 * a[0]) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0.0,), "kappa: expected a positive finite number"),
        ((1e13,), "kappa: expected at most 1e\\+12"),
        ((1.0, 0.5), "ratio: expected a finite number of at least 1"),
        ((1.0, 1e7), "ratio: expected at most 1e\\+06"),
    ],
)
def test_numbers_out_of_bounds_are_refused(arguments: tuple[float, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Anisotropic(*arguments)


def test_anchors_must_lie_on_the_sphere() -> None:
    with pytest.raises(ValueError, match="expected anchors on the unit sphere for Anisotropic"):
        Anisotropic(1.0).sample(np.ones((4, 3)), 0)
    with pytest.raises(ValueError, match="two or more columns for Anisotropic"):
        Anisotropic(1.0).sample(np.ones((4, 1)), 0)
