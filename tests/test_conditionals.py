"""Samples against closed forms: Kolmogorov-Smirnov at a level no healthy sampler trips over."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import ive

from threedident.conditionals import Conditional, Laplace, Normal, VonMisesFisher

LEVEL = 1e-4
N = 20_000
ANCHORS = (-1.0, -0.97, 0.0, 0.4, 0.999, 1.0)


def truncated(conditional: Conditional, anchor: float) -> stats.rv_continuous:
    """The cdf of scipy's own distribution, cut to [-1, 1]."""
    law = stats.norm if isinstance(conditional, Normal) else stats.laplace
    whole = law(anchor, conditional.scale)  # type: ignore[attr-defined]
    low, high = whole.cdf(-1), whole.cdf(1)
    return lambda x: (whole.cdf(x) - low) / (high - low)


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("scale", [0.01, 0.1, 2.0])
@pytest.mark.parametrize("kind", [Normal, Laplace])
def test_box_conditionals_follow_scipy(kind: type, scale: float, anchor: float) -> None:
    conditional = kind(scale)
    samples = conditional.sample(np.full((N, 1), anchor), np.random.default_rng(7))[:, 0]
    assert np.abs(samples).max() <= 1
    assert stats.kstest(samples, truncated(conditional, anchor)).pvalue > LEVEL


@pytest.mark.parametrize("anchor", [-0.95, 0.0, 1.0])
def test_normal_is_scipys_truncated_normal(anchor: float) -> None:
    u = np.linspace(0.001, 0.999, 500)[:, None]
    law = stats.truncnorm((-1 - anchor) / 0.1, (1 - anchor) / 0.1, loc=anchor, scale=0.1)
    ours = Normal(0.1).transform(np.full((500, 1), anchor), u)
    assert ours == pytest.approx(law.ppf(u), abs=1e-9)


def test_coordinates_are_independent_and_centred_on_their_anchors() -> None:
    anchors = np.tile(np.linspace(-0.6, 0.6, 10), (N, 1))
    steps = Normal(0.05).sample(anchors, 3) - anchors
    assert np.abs(steps.mean(axis=0)).max() < 5 * 0.05 / np.sqrt(N)
    assert np.abs(np.corrcoef(steps.T) - np.eye(10)).max() < 5 / np.sqrt(N)


def polar_cdf(kappa: float, dimension: int) -> object:
    """Distribution of z . z~ on a fine grid, by quadrature of its closed-form density."""
    grid = np.linspace(-1, 1, 200_001)[1:-1]
    log_density = kappa * (grid - 1) + (dimension - 3) / 2 * np.log1p(-(grid**2))
    mass = integrate.cumulative_trapezoid(np.exp(log_density), grid, initial=0)
    return lambda w: np.interp(w, grid, mass / mass[-1])


@pytest.mark.parametrize("kappa", [0.5, 10.0, 100.0])
@pytest.mark.parametrize("dimension", [3, 8, 10])
def test_vmf_angle_follows_its_density(kappa: float, dimension: int) -> None:
    rng = np.random.default_rng(11)
    z = rng.normal(size=(N, dimension))
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    samples = VonMisesFisher(kappa).sample(z, rng)
    assert np.linalg.norm(samples, axis=1) == pytest.approx(1.0, abs=1e-12)
    dots = (samples * z).sum(axis=1)
    assert stats.kstest(dots, polar_cdf(kappa, dimension)).pvalue > LEVEL
    ratio = ive(dimension / 2, kappa) / ive(dimension / 2 - 1, kappa)
    assert dots.mean() == pytest.approx(ratio, abs=5 * dots.std() / np.sqrt(N))


@pytest.mark.parametrize("kappa", [1.0, 20.0])
def test_vmf_on_the_circle_is_von_mises(kappa: float) -> None:
    z = np.tile([np.cos(0.3), np.sin(0.3)], (N, 1))
    samples = VonMisesFisher(kappa).sample(z, 5)
    angles = np.arctan2(samples[:, 1], samples[:, 0]) - 0.3
    angles = (angles + np.pi) % (2 * np.pi) - np.pi
    assert stats.kstest(angles, stats.vonmises(kappa).cdf).pvalue > LEVEL


@pytest.mark.parametrize("kappa", [1e-300, 1e-3, 1e6])
def test_vmf_stands_extreme_concentrations(kappa: float) -> None:
    samples = VonMisesFisher(kappa).sample(np.tile([1.0, 0, 0], (1000, 1)), 0)
    assert np.linalg.norm(samples, axis=1) == pytest.approx(1)
    expected = 1.0 if kappa > 1 else 0.0
    assert samples[:, 0].mean() == pytest.approx(expected, abs=0.1)


def test_vmf_agrees_with_scipys_sampler() -> None:
    mean = np.array([0.6, 0.0, 0.8])
    theirs = stats.vonmises_fisher(mean, 5.0).rvs(N, random_state=2)
    ours = VonMisesFisher(5.0).sample(np.tile(mean, (N, 1)), 1)
    for axis in range(3):
        assert stats.ks_2samp(ours[:, axis], theirs[:, axis]).pvalue > LEVEL


def test_vmf_spreads_evenly_around_its_anchor() -> None:
    z = np.tile([0.0, 0.0, 1.0], (N, 1))
    samples = VonMisesFisher(3.0).sample(z, 1)
    turn = np.arctan2(samples[:, 1], samples[:, 0])
    assert stats.kstest(turn, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > LEVEL


@pytest.mark.parametrize("conditional", [Normal(0.1), Laplace(0.1), VonMisesFisher(2.0)])
def test_same_generator_state_same_samples(conditional: Conditional) -> None:
    z = np.tile([0.6, 0.8], (10, 1))
    first, second = (conditional.sample(z, np.random.default_rng(4)) for _ in range(2))
    assert (first == second).all()


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("kind", [Normal, Laplace, VonMisesFisher])
def test_scales_must_be_positive(kind: type, value: float) -> None:
    with pytest.raises(ValueError, match="expected a positive finite number"):
        kind(value)


@pytest.mark.parametrize("bad", [1.5, np.nan])
def test_anchors_must_lie_in_the_box(bad: float) -> None:
    with pytest.raises(ValueError, match=r"box \[-1, 1\]"):
        Normal(0.1).sample(np.array([[0.0, bad]]), 0)


@pytest.mark.parametrize("anchors", [np.zeros((1, 3)), np.ones((1, 1)), np.full((1, 2), np.nan)])
def test_anchors_must_lie_on_the_sphere(anchors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="unit sphere"):
        VonMisesFisher(1.0).sample(anchors, 0)


def test_one_anchor_needs_its_row() -> None:
    with pytest.raises(ValueError, match=r"z\[None\]"):
        Normal(0.1).sample(np.zeros(10), 0)
