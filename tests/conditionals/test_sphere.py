"""Laws on the unit sphere, by quadrature and by rejection."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.special import ive

from tests.conditionals.laws import (
    KINDS,
    LEVEL,
    LIBRARIES,
    N,
    angle_cdf,
    between,
    draw,
    falls,
    resultant,
    unit,
    whole,
)
from threedident.conditionals.conditional import Conditional
from threedident.conditionals.sphere import VonMisesFisher
from threedident.conditionals.steps import GeneralizedNormal, Laplace, Normal, Steps, Uniform

SPHERICAL = (*(kind(0.8, space="sphere") for kind in KINDS), VonMisesFisher(2.0))
SPREADS = (0.05, 0.5, 5.0)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dimension", [2, 3, 8])
@pytest.mark.parametrize(
    "conditional",
    [
        *(kind(spread, space="sphere") for kind in KINDS for spread in SPREADS),
        GeneralizedNormal(0.5, 1.5, space="sphere"),
        GeneralizedNormal(0.5, 40.0, space="sphere"),
        *(VonMisesFisher(kappa) for kappa in (0.5, 10.0, 100.0)),
    ],
)
def test_angles_follow_their_density(
    conditional: Conditional, dimension: int, library: str
) -> None:
    z = unit(np.random.default_rng(11), N, dimension)
    samples = draw(conditional, z, 12, library)
    assert np.linalg.norm(samples, axis=1) == pytest.approx(1, abs=1e-9)
    angles = between(z, samples)
    assert stats.kstest(angles, angle_cdf(conditional, dimension)).pvalue > LEVEL
    dots = np.cos(angles)
    mean = resultant(conditional, dimension)
    assert dots.mean() == pytest.approx(mean, abs=5 * dots.std() / np.sqrt(N))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dimension", [2, 3, 5])
@pytest.mark.parametrize("conditional", SPHERICAL)
def test_the_sphere_is_rejection_from_uniform_points(
    conditional: Conditional, dimension: int, library: str
) -> None:
    rng = np.random.default_rng(13)
    anchor = unit(rng, 1, dimension)
    points = unit(rng, 10 * N, dimension)
    kept = points[rng.random(10 * N) < falls(conditional, between(anchor, points))]
    assert len(kept) > N / 10
    samples = draw(conditional, np.tile(anchor, (N, 1)), 14, library)
    for ours, theirs in zip(samples.T, kept.T, strict=True):
        assert stats.ks_2samp(ours, theirs).pvalue > LEVEL


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dimension", [2, 3, 5])
@pytest.mark.parametrize("conditional", [kind(0.6, space="projected") for kind in KINDS])
def test_projections_are_steps_over_their_norms(
    conditional: Steps, dimension: int, library: str
) -> None:
    anchor = unit(np.random.default_rng(15), 1, dimension)[0]
    columns = [
        whole(conditional, mean).rvs(N, random_state=16 + k) for k, mean in enumerate(anchor)
    ]
    theirs = np.stack(columns, axis=1)
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    ours = draw(conditional, np.tile(anchor, (N, 1)), 17, library)
    assert np.linalg.norm(ours, axis=1) == pytest.approx(1, abs=1e-14)
    pairs = [*zip(ours.T, theirs.T, strict=True), (ours @ anchor, theirs @ anchor)]
    for first, second in pairs:
        assert stats.ks_2samp(first, second).pvalue > LEVEL


@pytest.mark.parametrize("kind", KINDS)
def test_projections_divide_the_draws_of_the_real_space(kind: type[Steps]) -> None:
    rng, scales = np.random.default_rng(18), (0.1, 0.5, 2.0, 1e9)
    z, u = unit(rng, 1000, 4), rng.random((1000, 4))
    free = kind(scales, space="real").transform(z, u)
    expected = free / np.linalg.norm(free, axis=1, keepdims=True)
    ours = kind(scales, space="projected").transform(z, u)
    assert ours == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("conditional", SPHERICAL)
def test_directions_are_uniform_and_do_not_know_the_angle(
    conditional: Conditional, library: str
) -> None:
    z = np.tile([0.0, 0.0, 1.0], (N, 1))
    samples = draw(conditional, z, 19, library)
    turns = np.arctan2(samples[:, 1], samples[:, 0])
    assert stats.kstest(turns, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > LEVEL
    assert stats.spearmanr(np.abs(turns), samples[:, 2]).pvalue > LEVEL


@pytest.mark.parametrize("conditional", SPHERICAL)
def test_turning_the_anchor_turns_the_law(conditional: Conditional) -> None:
    rng = np.random.default_rng(20)
    z = unit(rng, 1, 4)
    rotation, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    turned = conditional.sample(np.tile(z, (N, 1)), 21) @ rotation.T
    around = conditional.sample(np.tile(z @ rotation.T, (N, 1)), 22)
    for first, second in zip(turned.T, around.T, strict=True):
        assert stats.ks_2samp(first, second).pvalue > LEVEL


@pytest.mark.parametrize("kappa", [0.5, 10.0, 100.0])
@pytest.mark.parametrize("dimension", [3, 8, 10])
def test_vmf_has_the_resultant_of_bessel_functions(kappa: float, dimension: int) -> None:
    ratio = ive(dimension / 2, kappa) / ive(dimension / 2 - 1, kappa)
    assert resultant(VonMisesFisher(kappa), dimension) == pytest.approx(ratio, abs=1e-8)


@pytest.mark.parametrize("kappa", [1.0, 20.0])
def test_vmf_on_the_circle_is_von_mises(kappa: float) -> None:
    z = np.tile([np.cos(0.3), np.sin(0.3)], (N, 1))
    samples = VonMisesFisher(kappa).sample(z, 5)
    angles = np.arctan2(samples[:, 1], samples[:, 0]) - 0.3
    angles = (angles + np.pi) % (2 * np.pi) - np.pi
    assert stats.kstest(angles, stats.vonmises(kappa).cdf).pvalue > LEVEL


def test_vmf_agrees_with_scipys_sampler() -> None:
    mean = np.array([0.6, 0.0, 0.8])
    theirs = stats.vonmises_fisher(mean, 5.0).rvs(N, random_state=2)
    ours = VonMisesFisher(5.0).sample(np.tile(mean, (N, 1)), 1)
    for axis in range(3):
        assert stats.ks_2samp(ours[:, axis], theirs[:, axis]).pvalue > LEVEL


def sphere_grid(dimension: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Anchors, uniform numbers, and those of them that decide the angle."""
    u = np.random.default_rng(23).random((500, 1 + dimension))
    u[:, 0] = np.linspace(0.002, 0.998, 500)
    return np.tile(np.eye(dimension)[0], (500, 1)), u, u[:, 0]


@pytest.mark.parametrize("radius", [1e-50, 1e-6, 0.3, 2.0, 3.2, 1e300])
def test_caps_have_archimedes_area(radius: float) -> None:
    z, u, angle_u = sphere_grid(3)
    samples = Uniform(radius, space="sphere").transform(z, u)
    across = np.hypot(samples[:, 1], samples[:, 2])
    reach = min(radius, np.pi)
    halves = np.sin(reach / 2) * np.sqrt(angle_u)  # sin(t / 2)
    assert across == pytest.approx(2 * halves * np.sqrt(1 - halves**2), rel=1e-8)
    assert between(z, samples).max() <= reach


@pytest.mark.parametrize("scale", [1e-9, 0.1, 1.0, 50.0])
def test_laplace_on_the_circle_is_exponential(scale: float) -> None:
    z, u, angle_u = sphere_grid(2)
    samples = Laplace(scale, space="sphere").transform(z, u)
    expected = -scale * np.log1p(angle_u * np.expm1(-np.pi / scale))
    angles = np.arctan2(np.abs(samples[:, 1]), samples[:, 0])
    assert angles == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("scale", [1e-12, 0.3, 4.0])
@pytest.mark.parametrize("dimension", [2, 3, 10])
def test_exponents_join_the_laws_of_the_sphere(scale: float, dimension: int) -> None:
    z, u, _ = sphere_grid(dimension)
    general = [GeneralizedNormal(scale, beta, space="sphere") for beta in (1, 2, 1e5)]
    special = [
        Laplace(scale, space="sphere"),
        Normal(scale / np.sqrt(2), space="sphere"),
        Uniform(scale, space="sphere"),
    ]
    for one, other, gap in zip(general, special, (1e-9, 1e-9, 1e-3), strict=True):
        across = one.transform(z, u) - other.transform(z, u)
        assert np.abs(across).max() < gap * min(scale, 1)


@pytest.mark.parametrize("scale", [1e-50, 1e-12, 1e-4])
@pytest.mark.parametrize("dimension", [2, 3, 8])
def test_small_steps_are_those_of_the_tangent_space(scale: float, dimension: int) -> None:
    z, u, angle_u = sphere_grid(dimension)
    across = {
        kind: np.linalg.norm(kind(scale, space="sphere").transform(z, u)[:, 1:], axis=1) / scale
        for kind in KINDS
    }
    turns = dimension - 1
    limits = {
        Normal: stats.chi(turns),
        Laplace: stats.gamma(turns),
        GeneralizedNormal: stats.gengamma(turns / 3, 3),
        Uniform: stats.powerlaw(turns),
    }
    for kind, law in limits.items():
        assert law.cdf(across[kind]) == pytest.approx(angle_u, abs=1e-6), kind


@pytest.mark.parametrize("kappa", [1e4, 1e12, 1e100])
@pytest.mark.parametrize("dimension", [3, 8])
def test_concentrated_vmf_is_normal_on_the_tangent_space(kappa: float, dimension: int) -> None:
    samples = VonMisesFisher(kappa).sample(np.tile(np.eye(dimension)[0], (N, 1)), 6)
    squares = kappa * (samples[:, 1:] ** 2).sum(axis=1)
    assert stats.kstest(squares, stats.chi2(dimension - 1).cdf).pvalue > LEVEL


@pytest.mark.parametrize("dimension", [2, 3, 100])
@pytest.mark.parametrize(
    "conditional",
    [
        *(kind(scale, space="sphere") for kind in KINDS for scale in (1e9, 1.7e308)),
        *(VonMisesFisher(kappa) for kappa in (5e-324, 1e-300)),
    ],
)
def test_wide_laws_fill_the_sphere_evenly(conditional: Conditional, dimension: int) -> None:
    z, u, angle_u = sphere_grid(dimension)
    half = (1 - conditional.transform(z, u)[:, 0]) / 2
    law = stats.beta((dimension - 1) / 2, (dimension - 1) / 2)
    assert law.cdf(half) == pytest.approx(angle_u, abs=1e-7)


@pytest.mark.parametrize("dimension", [2, 3, 10])
@pytest.mark.parametrize(
    "conditional",
    [
        *(kind(scale, space="sphere") for kind in KINDS for scale in (1e-50, 0.1, 1e300)),
        *(kind(scale, space="projected") for kind in KINDS for scale in (5e-324, 0.1, 1e100)),
        *(GeneralizedNormal(scale, 1e300, space="sphere") for scale in (1e-50, 0.1, 1e300)),
        *(VonMisesFisher(kappa) for kappa in (5e-324, 1.0, 1e100)),
    ],
)
def test_all_uniform_numbers_lead_to_the_sphere(conditional: Conditional, dimension: int) -> None:
    u = np.random.default_rng(24).random((100, conditional.count(dimension)))
    u[:4] = np.array([1e-300, 2.0**-53, 0.5, 1 - 2.0**-53])[:, None]
    for z in (np.eye(dimension)[-1], np.full(dimension, dimension**-0.5)):
        samples = conditional.transform(np.tile(z, (100, 1)), u)
        assert np.linalg.norm(samples, axis=1) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("dimension", [2, 3, 10])
def test_no_direction_at_all_still_keeps_the_angle(dimension: int) -> None:
    z = np.concatenate([np.eye(dimension), unit(np.random.default_rng(25), 5, dimension)])
    conditional = Uniform(1.0, space="sphere")
    u = np.full((len(z), 1 + dimension), 0.5)
    angles = between(z, conditional.transform(z, u))
    assert angle_cdf(conditional, dimension)(angles) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("norm", [0.9995, 1.0005])
@pytest.mark.parametrize("conditional", [*SPHERICAL, Normal(0.8, space="projected")])
def test_rounded_anchors_are_brought_to_the_sphere(conditional: Conditional, norm: float) -> None:
    z = np.array([[0.48, 0.64, 0.6]])
    u = np.full((1, conditional.count(3)), 0.3)
    exact, rounded = conditional.transform(z, u), conditional.transform(norm * z, u)
    assert rounded == pytest.approx(exact, abs=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("anchors", [np.zeros((1, 3)), np.full((1, 2), np.nan), np.ones((2, 2))])
@pytest.mark.parametrize("conditional", [*SPHERICAL, Laplace(1.0, space="projected")])
def test_anchors_must_lie_on_the_sphere(
    conditional: Conditional, anchors: np.ndarray, library: str
) -> None:
    words = "latents: expected anchors on the unit sphere for .*, found norm .*; divide the rows"
    for refused in (conditional.check, lambda z: draw(conditional, z, 0, library)):
        with pytest.raises(ValueError, match=words):
            refused(anchors)


@pytest.mark.slow
@pytest.mark.parametrize("conditional", [*SPHERICAL, Laplace(1.0, space="projected")])
def test_one_coordinate_makes_no_sphere(conditional: Conditional) -> None:
    words = "expected two or more columns for .* on the unit sphere, found 1; "
    for refused in (conditional.check, lambda z: conditional.sample(z, 0)):
        with pytest.raises(ValueError, match=words):
            refused(np.ones((1, 1)))
    with pytest.raises(ValueError, match=words):
        conditional.count(1)


@pytest.mark.parametrize("kind", KINDS)
def test_angles_have_one_scale_of_some_size(kind: type[Steps]) -> None:
    with pytest.raises(ValueError, match=r"scale: expected one number on the sphere.*found 2; "):
        kind((0.1, 0.1), space="sphere")
    with pytest.raises(ValueError, match="scale: expected at least 1e-50 on the sphere, found "):
        kind(1e-51, space="sphere")
