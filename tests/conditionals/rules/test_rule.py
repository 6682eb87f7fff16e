"""Rules of pairs: what is kept is equal, what moves follows its law, masks have their law."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from scipy import stats

from tests.conditionals.laws import LEVEL, N, angle_cdf, between, truncated, unit
from threedident.conditionals.conditional import Conditional
from threedident.conditionals.law import Law
from threedident.conditionals.product import Part, Product
from threedident.conditionals.rules.rule import Clause, Rule
from threedident.conditionals.rules.spelling import parse_rule
from threedident.conditionals.sphere import VonMisesFisher
from threedident.conditionals.steps import GeneralizedNormal, Laplace, Normal, Uniform
from threedident.latents.layout import layout_of, numbered_layout
from threedident.latents.spaces import SPACES

BOX = layout_of("box")
PERIODIC = layout_of("periodic")
SEVERAL = "position=keep;alpha=normal:0.3;beta=laplace:0.2;gamma=gennorm3:0.5;theta=uniform:0.4;"
SEVERAL += "hue=marginal"
LAWS = {3: Normal(0.3), 4: Laplace(0.2), 5: GeneralizedNormal(0.5), 6: Uniform(0.4)}


def anchors(space: str, rows: int = N) -> np.ndarray:
    u = np.random.default_rng(20).uniform(1e-9, 1, (rows, SPACES[space].count))
    return SPACES[space].sample(u, {})


def numbers(rule: Rule, rows: int = N) -> np.ndarray:
    count = rule.conditional().count(rule.layout.dimension)
    return np.random.default_rng(21).uniform(1e-9, 1, (rows, count))


def test_kept_factors_are_equal_and_others_follow_their_laws() -> None:
    z = anchors("box")
    z[:] = z[0]  # one anchor, so that every law has a closed form
    positives = parse_rule(SEVERAL).conditional().sample(z, 1)
    assert (positives[:, :3].astype(np.float32).tobytes()) == z[:, :3].tobytes()
    for column, law in LAWS.items():
        cdf = truncated(law, float(z[0, column]))
        assert stats.kstest(positives[:, column], cdf).pvalue > LEVEL
    for column in (7, 8, 9):
        assert stats.kstest(positives[:, column], stats.uniform(-1, 2).cdf).pvalue > LEVEL


def test_what_is_redrawn_does_not_depend_on_the_anchor() -> None:
    rule, z = parse_rule("x=normal:1;rest=marginal"), anchors("box")
    u = numbers(rule)
    first, second = (rule.conditional().transform(a, u) for a in (z, z[::-1]))
    assert (first[:, 1:] == second[:, 1:]).all()
    assert (first[:, 0] != second[:, 0]).any()


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("text", ["rest=normal:0.3@0.3", "position=keep;rest=marginal@0.5"])
def test_each_factor_changes_with_its_probability(space: str, text: str) -> None:
    rule, z = parse_rule(text, layout_of(space)), anchors(space)
    u = numbers(rule)
    positives, mask = rule.conditional().transform(z, u), rule.changed(u)
    differ = positives.astype(np.float32) != z
    columns = rule.layout.over_columns(rule.acting(u))
    assert (differ <= columns).all()
    assert (differ == columns).mean() > 0.999  # a draw may round to its anchor
    chance = float(text.partition("@")[2])
    for number in (some.factors[0] for some in rule.sometimes):
        assert stats.binomtest(int(mask[:, number].sum()), N, chance).pvalue > LEVEL
    if space == "box":
        both = (mask[:, 8] & mask[:, 9]).sum()
        assert stats.binomtest(int(both), N, chance**2).pvalue > LEVEL


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_number_of_factors_changes_and_each_set_is_as_likely(count: int) -> None:
    rule = parse_rule(f"position,theta=marginal/{count};rest=keep")
    mask = rule.changed(numbers(rule))
    assert (mask.sum(axis=1) == count).all()
    sets = list(combinations((0, 1, 2, 6), count))
    assert rule.masks == len(sets)
    found = [int(mask[:, list(some)].all(axis=1).sum()) for some in sets]
    assert sum(found) == N
    assert stats.chisquare(found).pvalue > LEVEL


def test_a_pair_that_changes_some_factors_moves_them_by_their_law() -> None:
    rule = parse_rule("rest=laplace:0.2/4")
    z = np.full((N, 10), 0.4)
    u = numbers(rule)
    positives, mask = rule.conditional().transform(z, u), rule.changed(u)
    assert (positives[~mask] == 0.4).all()
    assert stats.kstest(positives[mask], truncated(Laplace(0.2), 0.4)).pvalue > LEVEL


@pytest.mark.parametrize(
    ("text", "law"), [("sphere=vmf:0.2;rest=keep", 5.0), ("sphere=normal:0.1@0.5;rest=keep", 10.0)]
)
def test_the_sphere_of_the_periodic_space_moves_as_a_whole(text: str, law: float) -> None:
    rule, z = parse_rule(text, PERIODIC), anchors("periodic")
    u = numbers(rule)
    positives, mask = rule.conditional().transform(z, u), rule.changed(u)
    assert not mask[:, :3].any()
    assert (mask[:, 3:] == mask[:, [3]]).all()
    moved = mask[:, 3]
    assert (positives.astype(np.float32)[~moved] == z[~moved]).all()
    angles = between(z[moved, 3:], positives[moved, 3:])
    assert stats.kstest(angles, angle_cdf(VonMisesFisher(law), 8)).pvalue > LEVEL


def test_a_sphere_is_redrawn_uniformly() -> None:
    rule, z = parse_rule("position=keep;rest=marginal", PERIODIC), anchors("periodic")
    positives = rule.conditional().sample(z, 3)
    assert (positives[:, :3].astype(np.float32) == z[:, :3]).all()
    assert np.linalg.norm(positives[:, 3:], axis=1) == pytest.approx(1)
    squares = positives[:, 3:] ** 2  # of a uniform point on S^7 they are Beta(1/2, 7/2)
    for column in squares.T:
        assert stats.kstest(column, stats.beta(0.5, 3.5).cdf).pvalue > LEVEL


def test_a_sphere_that_is_kept_keeps_its_rounding() -> None:
    rule, z = parse_rule("sphere=keep;rest=normal:1", PERIODIC), anchors("periodic", 500)
    z[:, 3:] *= np.float32(1.0005)  # not quite of norm 1
    sometimes = parse_rule("sphere=normal:1@0.5;rest=normal:1", PERIODIC)
    assert (rule.conditional().sample(z, 4)[:, 3:] == z[:, 3:]).all()
    u = numbers(sometimes, 500)
    kept = ~sometimes.changed(u)[:, 3]
    assert (sometimes.conditional().transform(z, u)[kept, 3:] == z[kept, 3:]).all()


def test_latents_without_images_have_rules_too() -> None:
    real = parse_rule("z1=keep;z2=marginal;rest=normal:2", numbered_layout("real", 4))
    z = np.random.default_rng(5).normal(3, 1, (N, 4))
    positives = real.conditional("laplace").sample(z, 6)
    assert (positives[:, 0] == z[:, 0]).all()
    assert stats.kstest(positives[:, 1], stats.laplace.cdf).pvalue > LEVEL
    steps = (positives - z)[:, 2:].ravel()
    assert stats.kstest(steps, stats.norm(0, 2).cdf).pvalue > LEVEL
    sphere = parse_rule("rest=vmf:0.1@0.5", numbered_layout("sphere", 3))
    points = unit(np.random.default_rng(7), 400, 3)
    u = numbers(sphere, 400)
    kept = ~sphere.changed(u)[:, 0]
    assert 100 < kept.sum() < 300
    assert (sphere.conditional().transform(points, u)[kept] == points[kept]).all()
    box = parse_rule("z1..z3=normal:0.1;rest=keep", numbered_layout("box", 5))
    assert box.conditional(stretch=2.0).parts == (Part((0, 1, 2), Normal(0.2)),)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        (BOX, SEVERAL),
        (BOX, "x=keep;y,z=marginal/1;rest=gennorm3:0.2@0.4"),
        (PERIODIC, "position=laplace:0.3/2;sphere=normal:0.2@0.5"),
        (PERIODIC, "x=keep;rest=marginal/1"),
    ],
)
def test_tensors_give_what_arrays_do(layout: object, text: str) -> None:
    rule = parse_rule(text, layout)  # type: ignore[arg-type]
    z, u = anchors(rule.layout.space, 300), numbers(rule, 300)
    conditional = rule.conditional()
    there = conditional.transform(torch.tensor(z), torch.tensor(u))
    assert there.numpy() == pytest.approx(conditional.transform(z, u), abs=1e-12)
    mask = rule.changed(torch.tensor(u))
    assert mask.dtype == torch.bool
    assert (mask.numpy() == rule.changed(u)).all()
    kept = rule.layout.over_columns(~rule.acting(u)) & (z == z)
    assert (there.numpy()[kept] == z[kept]).all()


def test_a_pair_depends_on_its_own_numbers_only() -> None:
    rule, z = parse_rule("x=keep;hue=marginal/2;rest=normal:0.2@0.5"), anchors("box", 60)
    u, some = numbers(rule, 60), [40, 3, 59]
    conditional = rule.conditional()
    assert (conditional.transform(z[some], u[some]) == conditional.transform(z, u)[some]).all()
    assert (rule.changed(u[some]) == rule.changed(u)[some]).all()


def test_a_law_of_all_factors_is_the_product_it_always_was() -> None:
    z, u = anchors("box", 200), np.random.default_rng(8).uniform(size=(200, 10))
    product = Product(10, (Part(tuple(range(10)), Normal(0.1)),))
    for text in ("normal:0.1", "rest=normal:0.1", ",".join(["normal:0.1"] + ["0.1"] * 9)):
        rule = parse_rule(text)
        assert (rule.conditional().transform(z, u) == product.transform(z, u)).all()
        assert rule.changed(u).all()


def test_conditionals_of_rules_print_what_changes() -> None:
    drawn = parse_rule("x=keep;y,z=marginal/1;rest=normal:0.3@0.5").conditional()
    assert repr(drawn).splitlines() == [
        "Masked",
        "    columns 1, 2: Redraw(marginal uniform, space box)",
        "    columns 3 to 9: Normal(scale 0.3, space box)",
        "    of columns 1, 2: 1 of 2 blocks change",
        "    of columns 3 to 9: each changes with probability 0.5",
    ]


def test_roles_follow_from_the_rule() -> None:
    rule = parse_rule("x=keep;rotation=normal:0.1;theta=marginal@0.5;hue=marginal;rest=marginal/1")
    roles = rule.roles
    assert [name for name, role in roles.items() if role == "content"] == ["x"]
    hues = ["object_hue", "spotlight_hue", "background_hue"]
    assert [name for name, role in roles.items() if role == "private"] == hues
    assert sum(role == "style" for role in roles.values()) == 6
    whole = parse_rule("position=keep;rest=marginal", PERIODIC).roles
    assert list(whole.values()) == ["content"] * 3 + ["private"] * 7


@pytest.mark.parametrize("space", SPACES)
def test_fixed_factors_stay_fixed_and_are_content(space: str) -> None:
    fixed = {"x": 0.25}
    rule = parse_rule("rest=marginal/1", layout_of(space, fixed))
    z = anchors(space, 200)
    z[:, 0] = 0.25
    u = numbers(rule, 200)
    assert (rule.conditional().transform(z, u)[:, 0] == 0.25).all()
    assert rule.roles["x"] == "content"
    assert not rule.changed(u)[:, 0].any()


def test_a_fixed_angle_of_the_sphere_is_kept_with_it_alone() -> None:
    layout = layout_of("periodic", {"alpha": 0.5})
    assert parse_rule("sphere=keep;rest=marginal", layout).roles["beta"] == "content"
    for text in ("rest=marginal", "normal:0.1", "position=keep;sphere=vmf:1@0.5"):
        with pytest.raises(
            ValueError, match="expected sphere=keep or no fixed angle, found alpha"
        ):
            parse_rule(text, layout)


def test_rules_made_of_clauses_are_checked() -> None:
    names = BOX.names
    rule = Rule(BOX, (Clause(names[3:], Law("normal", 0.1)), Clause(names[:3], "keep")))
    assert rule == parse_rule("position=keep;rest=normal:0.1")
    assert rule.laws == ()
    assert isinstance(rule.conditional(), Conditional)
    for clauses, words in [
        ((Clause(names[1:], "marginal"),), "found none for x"),
        ((Clause((*names, "x"), "marginal"),), "expected x in one clause, found it twice"),
        ((Clause(("hue",), "marginal"),), "units: expected one of x, y"),
    ]:
        with pytest.raises(ValueError, match=words):
            Rule(BOX, clauses)
    with pytest.raises(ValueError, match="fits the real space"):
        parse_rule("rest=marginal", numbered_layout("real", 2)).conditional("uniform")
