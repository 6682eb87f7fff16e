"""Products of conditionals, and their names on the command line."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import ive

from tests.conditionals.laws import LEVEL, LIBRARIES, N, angle_cdf, between, draw, unit
from threedident.conditionals.conditional import Conditional
from threedident.conditionals.product import Part, Product
from threedident.conditionals.rules.spelling import parse_conditional
from threedident.conditionals.sphere import VonMisesFisher
from threedident.conditionals.steps import GeneralizedNormal, Laplace, Normal, Uniform
from threedident.latents.spaces import SPACES

MIXED = Product(
    6, (Part((4, 0), Laplace(0.2)), Part((1, 2, 5), VonMisesFisher(3.0)), Part((), Normal(1.0)))
)


def mixed_anchors(n: int) -> np.ndarray:
    rng = np.random.default_rng(12)
    z = rng.uniform(-1, 1, (n, 6))
    z[:, [1, 2, 5]] = unit(rng, n, 3)
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


@pytest.mark.parametrize("library", LIBRARIES)
def test_columns_of_no_part_are_copied_bit_for_bit(library: str) -> None:
    z = mixed_anchors(4)
    z[:, 3] = [-0.0, 1e-310, -np.inf, 3.0]
    copied = draw(MIXED, z, 1, library)[:, 3]
    assert copied.tobytes() == z[:, 3].tobytes()


@pytest.mark.parametrize("columns", [[(0, 1), (1, 2)], [(3,)], [(-1,)], [(0, 0)]])
def test_parts_are_disjoint_columns_of_the_row(columns: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="parts: expected disjoint columns below 3"):
        Product(3, tuple(Part(some, Normal(0.1)) for some in columns))


def test_parts_fit_their_columns() -> None:
    with pytest.raises(ValueError, match="one number for each of the 3 columns, found 2"):
        Product(3, (Part((0, 1, 2), Normal((0.1, 0.2))),))
    with pytest.raises(ValueError, match="two or more columns for VonMisesFisher"):
        Product(3, (Part((0,), VonMisesFisher(1.0)),))


SPACIOUS = Product(
    9,
    (
        Part((0, 5), Normal((0.1, 3.0), space="real")),
        Part((1, 2), Laplace(0.2, space="sphere")),
        Part((8, 7, 6), Product(3, (Part((2, 0), Uniform(0.1, space="projected")),))),
    ),
)


def test_parts_may_live_in_spaces_of_their_own() -> None:
    rng = np.random.default_rng(13)
    z = rng.normal(size=(500, 9))
    z[:, [1, 2]], z[:, [6, 8]] = unit(rng, 500, 2), unit(rng, 500, 2)
    u = rng.random((500, SPACIOUS.count(9)))
    positives = SPACIOUS.transform(z, u)
    for columns, law, own in [
        ([0, 5], Normal((0.1, 3.0), space="real"), slice(2)),
        ([1, 2], Laplace(0.2, space="sphere"), slice(2, 5)),
        ([6, 8], Uniform(0.1, space="projected"), slice(5, 7)),
    ]:
        assert (positives[:, columns] == law.transform(z[:, columns], u[:, own])).all()
    assert (positives[:, [3, 4, 7]] == z[:, [3, 4, 7]]).all()
    tensor = SPACIOUS.transform(torch.tensor(z), torch.tensor(u)).numpy()
    assert tensor == pytest.approx(positives, abs=1e-13)


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_product_checks_the_anchors_of_every_part(library: str) -> None:
    z = mixed_anchors(3)
    MIXED.check(z)
    for column, words in [(4, "box"), (5, "unit sphere")]:
        bad = z.copy()
        bad[1, column] = 2.0
        for refused in (MIXED.check, lambda rows: draw(MIXED, rows, 0, library)):
            with pytest.raises(ValueError, match=words):
                refused(bad)


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
    angles = between(z[:, 3:], positives[:, 3:])
    assert stats.kstest(angles, angle_cdf(VonMisesFisher(1 / scale), 8)).pvalue > LEVEL
    ranks = stats.truncnorm((-1 - z[:, 0]) / scale, (1 - z[:, 0]) / scale, z[:, 0], scale)
    assert stats.kstest(ranks.cdf(positives[:, 0]), stats.uniform.cdf).pvalue > LEVEL


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cauchy:0.1", "such as normal:0.1"),
        ("Normal:0.1", "did you mean 'normal'?"),
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
        ("normal\n:1", "did you mean 'normal'?"),
    ],
)
def test_bad_pairs_cost_one_line(text: str, words: str, space: str) -> None:
    forms = r"normal:S, laplace:S, gennormB:S or uniform:S"
    with pytest.raises(ValueError, match=rf"^--pairs: expected {forms}, found [^\n]*$") as error:
        parse_conditional(text, space, {})
    assert f"found {text!r}; " in str(error.value)
    assert words in str(error.value)


def test_pairs_take_a_scale_for_each_free_column() -> None:
    scales = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    text = ",".join(map(str, scales))
    fixed = {"y": 0.5, "object_hue": 0.0}
    free = (0, 2, 3, 4, 5, 6, 8, 9)
    for name, law in [("normal", Normal(scales)), ("gennorm2.5", GeneralizedNormal(scales, 2.5))]:
        parsed = parse_conditional(f"{name}:{text}", "box", fixed)
        assert parsed == Product(10, (Part(free, law),))
    z = space_draw("box", fixed)
    positives = parse_conditional(f"uniform:{text}", "box", fixed).sample(z, 23)
    reached = np.abs(positives - z).max(axis=0)
    assert reached[list(free)] == pytest.approx(scales, rel=0.01)
    assert (reached[[1, 7]] == 0).all()


@pytest.mark.parametrize(
    ("text", "space", "words"),
    [
        ("normal:1,1,1", "box", "scale S: expected one number or 10, one for each free column, "),
        ("laplace:" + ",".join(["1"] * 11), "box", "found 11; give so many"),
        ("normal:1,1,1", "periodic", "expected one number, as a sphere takes, found 3"),
        ("uniform:1,1", "periodic", "expected one number, as a sphere takes, found 2"),
        ("normal:1,,1", "box", "scale S: expected a number, found none"),
        ("normal:1,", "box", "scale S: expected a number, found none"),
        ("normal:1,x", "box", "scale S: expected a number, found 'x'"),
        ("gennorm3:" + ",".join(["1"] * 9 + ["-1"]), "box", "positive finite number, found -1.0"),
    ],
)
def test_bad_lists_of_scales_cost_one_line(text: str, space: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"^--pairs: expected [^\n]*$") as error:
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
