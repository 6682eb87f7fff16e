"""Samples against closed forms: Kolmogorov-Smirnov at a level no healthy sampler trips over."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import ive

from threedident.conditionals import (
    Conditional,
    GeneralizedNormal,
    Laplace,
    Normal,
    Uniform,
    VonMisesFisher,
)
from threedident.products import Part, Product, parse_conditional
from threedident.spaces import SPACES

LEVEL = 1e-4
N = 20_000
ANCHORS = (-1.0, -0.97, 0.0, 0.4, 0.999, 1.0)


BOX_KINDS = (Normal, Laplace, GeneralizedNormal, Uniform)


def whole(conditional: Conditional, anchor: float) -> stats.rv_continuous:
    """Scipy's own distribution, not yet cut to [-1, 1]."""
    match conditional:
        case Normal(scale):
            return stats.norm(anchor, scale)
        case Laplace(scale):
            return stats.laplace(anchor, scale)
        case GeneralizedNormal(scale, beta):
            return stats.gennorm(beta, anchor, scale)
        case Uniform(scale):
            return stats.uniform(anchor - scale, 2 * scale)
    raise AssertionError(conditional)


def truncated(conditional: Conditional, anchor: float) -> Callable[[np.ndarray], np.ndarray]:
    """The cdf of scipy's own distribution, cut to [-1, 1]."""
    law = whole(conditional, anchor)
    low, high = law.cdf(-1), law.cdf(1)
    return lambda x: (law.cdf(x) - low) / (high - low)


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("scale", [0.01, 0.1, 2.0])
@pytest.mark.parametrize("kind", BOX_KINDS)
def test_box_conditionals_follow_scipy(kind: type, scale: float, anchor: float) -> None:
    conditional = kind(scale)
    samples = conditional.sample(np.full((N, 1), anchor), np.random.default_rng(7))[:, 0]
    assert np.abs(samples).max() <= 1
    assert stats.kstest(samples, truncated(conditional, anchor)).pvalue > LEVEL


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize("scale", [1e-4, 0.3])
@pytest.mark.parametrize("beta", [1.0, 1.5, 3.0, 40.0])
def test_generalized_normals_invert_scipys_cdf(beta: float, scale: float, anchor: float) -> None:
    conditional = GeneralizedNormal(scale, beta)
    u = np.linspace(0.001, 0.999, 500)
    drawn = conditional.transform(np.full((500, 1), anchor), u[:, None])[:, 0]
    assert truncated(conditional, anchor)(drawn) == pytest.approx(u, abs=1e-11)


@pytest.mark.parametrize("anchor", [-0.97, 0.4, 1.0])
@pytest.mark.parametrize("conditional", [kind(0.5) for kind in BOX_KINDS])
def test_truncation_is_rejection(conditional: Conditional, anchor: float) -> None:
    drawn = whole(conditional, anchor).rvs(3 * N, random_state=9)
    kept = drawn[np.abs(drawn) <= 1]
    samples = conditional.sample(np.full((N, 1), anchor), 10)[:, 0]
    assert len(kept) > N
    assert stats.ks_2samp(samples, kept).pvalue > LEVEL


def grid() -> tuple[np.ndarray, np.ndarray]:
    """Every anchor with uniform numbers from end to end."""
    u = np.concatenate([[1e-300, 2.0**-53], np.linspace(0.001, 0.999, 333), [1 - 2.0**-53]])
    return np.tile(ANCHORS, (len(u), 1)), np.tile(u[:, None], (1, len(ANCHORS)))


@pytest.mark.parametrize("scale", [1e-9, 0.01, 0.1, 2.0, 1e9])
def test_exponents_one_and_two_are_laplace_and_normal(scale: float) -> None:
    z, u = grid()
    for special, beta in [(Laplace(scale), 1), (Normal(scale / np.sqrt(2)), 2)]:
        gaps = np.abs(GeneralizedNormal(scale, beta).transform(z, u) - special.transform(z, u))
        assert gaps[2:-1].max() < 1e-13  # in the last tails, the digits of u end


@pytest.mark.parametrize("scale", [1e-3, 0.1, 2.0, 1e9])
@pytest.mark.parametrize("beta", [1e4, 1e300])
def test_great_exponents_are_uniform(beta: float, scale: float) -> None:
    z, u = grid()
    inner = slice(2, -1)  # a finite exponent has tails, however short
    ours = GeneralizedNormal(scale, beta).transform(z, u)[inner]
    assert ours == pytest.approx(Uniform(scale).transform(z, u)[inner], abs=1e-3 * min(scale, 1))


@pytest.mark.parametrize("kind", BOX_KINDS)
@pytest.mark.parametrize("scale", [1e6, 1e20, 1e200, 1.7e308])
def test_great_scales_fill_the_box_evenly(kind: type, scale: float) -> None:
    z, u = grid()
    assert kind(scale).transform(z, u) == pytest.approx(2 * u - 1, abs=3e-6)


@pytest.mark.parametrize("kind", BOX_KINDS)
@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-12])
def test_small_scales_stay_near_their_anchors(kind: type, scale: float) -> None:
    z, u = grid()
    assert np.abs(kind(scale).transform(z, u) - z).max() <= 40 * scale + 3e-16


def test_uniform_keeps_its_distance_and_fills_it() -> None:
    z, u = grid()
    expected = np.maximum(z - 0.25, -1) * (1 - u) + np.minimum(z + 0.25, 1) * u
    assert Uniform(0.25).transform(z, u) == pytest.approx(expected, abs=1e-15)


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


@pytest.mark.parametrize("kappa", [5e-324, 1e-300, 1e-3, 1e6, 1e20, 1e100])
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


@pytest.mark.parametrize("kappa", [1e4, 1e12, 1e100])
@pytest.mark.parametrize("dimension", [3, 8])
def test_concentrated_vmf_is_normal_on_the_tangent_space(kappa: float, dimension: int) -> None:
    samples = VonMisesFisher(kappa).sample(np.tile(np.eye(dimension)[0], (N, 1)), 6)
    squares = kappa * (samples[:, 1:] ** 2).sum(axis=1)
    assert stats.kstest(squares, stats.chi2(dimension - 1).cdf).pvalue > LEVEL


@pytest.mark.parametrize("conditional", [kind(0.1) for kind in (*BOX_KINDS, VonMisesFisher)])
def test_same_generator_state_same_samples(conditional: Conditional) -> None:
    z = np.tile([0.6, 0.8], (10, 1))
    first, second = (conditional.sample(z, np.random.default_rng(4)) for _ in range(2))
    assert (first == second).all()


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("kind", [*BOX_KINDS, VonMisesFisher])
def test_scales_must_be_positive(kind: type, value: float) -> None:
    with pytest.raises(ValueError, match="expected a positive finite number"):
        kind(value)


def test_concentrations_end_where_their_inversion_does() -> None:
    with pytest.raises(ValueError, match=r"kappa: expected at most 1e\+100, found 1e\+101"):
        VonMisesFisher(1e101)


@pytest.mark.parametrize("beta", [0.99, 0.0, -3.0, np.nan, np.inf])
def test_exponents_start_at_one(beta: float) -> None:
    with pytest.raises(ValueError, match="beta: expected a finite number of at least 1"):
        GeneralizedNormal(0.1, beta)


@pytest.mark.parametrize("bad", [1.5, np.nan])
@pytest.mark.parametrize("kind", BOX_KINDS)
def test_anchors_must_lie_in_the_box(kind: type, bad: float) -> None:
    with pytest.raises(ValueError, match=r"box \[-1, 1\]"):
        kind(0.1).sample(np.array([[0.0, bad]]), 0)


@pytest.mark.parametrize("anchors", [np.zeros((1, 3)), np.ones((1, 1)), np.full((1, 2), np.nan)])
def test_anchors_must_lie_on_the_sphere(anchors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="unit sphere"):
        VonMisesFisher(1.0).sample(anchors, 0)


def test_one_anchor_needs_its_row() -> None:
    with pytest.raises(ValueError, match=r"z\[None\]"):
        Normal(0.1).sample(np.zeros(10), 0)


MIXED = Product(
    6, (Part((4, 0), Laplace(0.2)), Part((1, 2, 5), VonMisesFisher(3.0)), Part((), Normal(1.0)))
)


def mixed_anchors(n: int) -> np.ndarray:
    rng = np.random.default_rng(12)
    z = rng.uniform(-1, 1, (n, 6))
    z[:, [1, 2, 5]] /= np.linalg.norm(z[:, [1, 2, 5]], axis=1, keepdims=True)
    z[:, 3] = 7.5  # a copied column may hold anything
    return z


def test_parts_of_a_product_draw_as_they_do_alone() -> None:
    z, u = mixed_anchors(500), np.random.default_rng(1).random((500, 6))
    assert MIXED.count(6) == 2 + 4
    positives = MIXED.transform(z, u)
    assert (positives[:, [4, 0]] == Laplace(0.2).transform(z[:, [4, 0]], u[:, :2])).all()
    alone = VonMisesFisher(3.0).transform(z[:, [1, 2, 5]], u[:, 2:])
    assert (positives[:, [1, 2, 5]] == alone).all()
    assert (positives[:, 3] == z[:, 3]).all()


@pytest.mark.parametrize("used", [0, 1, 2, 5])
def test_a_part_ignores_the_uniform_numbers_of_the_others(used: int) -> None:
    z, u = mixed_anchors(50), np.random.default_rng(2).random((50, 6))
    other = u.copy()
    other[:, used] = 1 - u[:, used]
    same = (MIXED.transform(z, u) == MIXED.transform(z, other)).all(axis=0)
    moving = {0: [4], 1: [0]}.get(used, [1, 2, 5])
    assert np.flatnonzero(~same).tolist() == sorted(moving)


def test_a_product_leaves_its_anchors_alone() -> None:
    z = mixed_anchors(5)
    before = z.copy()
    MIXED.sample(z, 0)
    assert (z == before).all()


@pytest.mark.parametrize("columns", [[(0, 1), (1, 2)], [(3,)], [(-1,)], [(0, 0)]])
def test_parts_are_disjoint_columns_of_the_row(columns: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="parts: expected disjoint columns below 3"):
        Product(3, tuple(Part(some, Normal(0.1)) for some in columns))


@pytest.mark.parametrize("dimension", [5, 7])
def test_a_product_takes_rows_of_its_space(dimension: int) -> None:
    with pytest.raises(ValueError, match=f"expected rows of 6 columns, found {dimension}"):
        MIXED.count(dimension)
    with pytest.raises(ValueError, match=f"expected rows of 6 columns, found {dimension}"):
        MIXED.transform(np.zeros((1, dimension)), np.full((1, 6), 0.5))


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("normal:0.1", Normal(0.1)),
        ("laplace:2", Laplace(2.0)),
        ("gennorm3:0.1", GeneralizedNormal(0.1)),
        ("gennorm1.5:1e-3", GeneralizedNormal(0.001, 1.5)),
        ("uniform:5", Uniform(5.0)),
    ],
)
def test_pairs_name_a_law_of_the_free_coordinates(text: str, law: Conditional) -> None:
    columns = tuple(range(10))
    assert parse_conditional(text, "box", {}) == Product(10, (Part(columns, law),))
    free = (0, 2, 3, 4, 5, 6, 8, 9)
    fixed = {"y": 0.5, "object_hue": 0.0}
    assert parse_conditional(text, "box", fixed) == Product(10, (Part(free, law),))
    sphere = Part(tuple(range(3, 11)), VonMisesFisher(1 / law.scale))  # type: ignore[attr-defined]
    expected = Product(11, (Part((0, 2), law), sphere))
    assert parse_conditional(text, "periodic", {"y": 0.5}) == expected


def space_draw(space: str, fixed: dict[str, float]) -> np.ndarray:
    u = np.random.default_rng(20).uniform(1e-9, 1, (N, SPACES[space].count))
    return SPACES[space].sample(u, fixed)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("fixed", [{}, {"x": 0.3}, {"x": 0.3, "y": -1.0, "z": 1.0}])
@pytest.mark.parametrize("text", ["normal:0.1", "gennorm3:0.5", "uniform:3"])
def test_pairs_stay_in_their_space_and_copy_what_is_fixed(
    space: str, fixed: dict[str, float], text: str
) -> None:
    z = space_draw(space, fixed)
    positives = parse_conditional(text, space, fixed).sample(z, 21).astype(np.float32)
    assert (SPACES[space].check(positives, "positives") == positives).all()
    for column, name in enumerate(SPACES[space].columns):
        same = positives[:, column] == z[:, column]
        assert same.all() if name in fixed else same.mean() < 0.01


@pytest.mark.parametrize("scale", [0.05, 0.1, 1.0])
def test_periodic_pairs_have_the_published_concentration(scale: float) -> None:
    z = space_draw("periodic", {"y": 0.0})
    positives = parse_conditional(f"normal:{scale}", "periodic", {"y": 0.0}).sample(z, 22)
    dots = (positives[:, 3:] * z[:, 3:]).sum(axis=1)
    ratio = ive(4, 1 / scale) / ive(3, 1 / scale)
    assert dots.mean() == pytest.approx(ratio, abs=5 * dots.std() / np.sqrt(N))
    assert stats.kstest(dots, polar_cdf(1 / scale, 8)).pvalue > LEVEL
    ranks = stats.truncnorm((-1 - z[:, 0]) / scale, (1 - z[:, 0]) / scale, z[:, 0], scale)
    assert stats.kstest(ranks.cdf(positives[:, 0]), stats.uniform.cdf).pvalue > LEVEL


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cauchy:0.1", "such as normal:0.1"),
        ("Normal:0.1", "such as normal:0.1"),
        ("", "such as normal:0.1"),
        ("0.1", "such as normal:0.1"),
        ("vmf:10", "such as normal:0.1"),
        ("normal", "scale S: expected a number, found none"),
        ("normal:", "scale S: expected a number, found none"),
        ("gennorm3", "scale S: expected a number, found none"),
        ("laplace:wide", "scale S: expected a number, found 'wide'"),
        ("normal:0.1:2", "scale S: expected a number, found '0.1:2'"),
        ("normal:-1", "positive finite number, found -1.0"),
        ("laplace:0", "positive finite number, found 0.0"),
        ("uniform:nan", "positive finite number, found nan"),
        ("gennorm3:inf", "positive finite number, found inf"),
        ("gennorm:0.1", "exponent B: expected a number, found none"),
        ("gennormx:0.1", "exponent B: expected a number, found 'x'"),
        ("gennorm0.5:0.1", "beta: expected a finite number of at least 1, found 0.5"),
        ("gennorminf:0.1", "beta: expected a finite number of at least 1, found inf"),
        ("gennormnan:0.1", "beta: expected a finite number of at least 1, found nan"),
        ("normal\n:1", "such as normal:0.1"),
    ],
)
def test_bad_pairs_cost_one_line(text: str, words: str, space: str) -> None:
    forms = r"normal:S, laplace:S, gennormB:S or uniform:S"
    with pytest.raises(ValueError, match=rf"^--pairs: expected {forms}, found [^\n]*$") as error:
        parse_conditional(text, space, {})
    assert f"found {text!r}; " in str(error.value)
    assert words in str(error.value)


def test_sphere_parts_refuse_scales_beyond_their_concentration() -> None:
    with pytest.raises(ValueError, match=r"^--pairs: .*'normal:1e-200'; kappa: expected at most"):
        parse_conditional("normal:1e-200", "periodic", {})
    assert parse_conditional("normal:1e-200", "box", {}).count(10) == 10


def test_fixed_angles_of_the_sphere_take_no_pairs() -> None:
    fixed = {"x": 0.0, "alpha": 0.5, "object_hue": 0.0}
    with pytest.raises(ValueError, match=r"^--pairs: [^\n]* found alpha, object_hue fixed"):
        parse_conditional("normal:0.1", "periodic", fixed)


@pytest.mark.parametrize("space", SPACES)
def test_pairs_refuse_factors_that_are_none(space: str) -> None:
    with pytest.raises(ValueError, match=r"^fixed: expected one of x, y"):
        parse_conditional("normal:0.1", space, {"hue": 0.0})
