"""Texts of rules: what they mean, their one spelling, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from threedident.conditionals.law import Law, parse_laws, spell_laws
from threedident.conditionals.rules.rule import Action, Clause, Rule
from threedident.conditionals.rules.spelling import canonical, parse_rule, spell_rule
from threedident.latents.layout import Layout, layout_of, numbered_layout

BOX = layout_of("box")
LAYOUTS = {
    "box": BOX,
    "fixed": layout_of("box", {"x": 0.0, "theta": 0.5, "alpha": 0.1}),
    "periodic": layout_of("periodic"),
    "held": layout_of("periodic", {"x": 0.0, "y": 0.0, "z": 0.0}),
    "mixing": numbered_layout("box", 12),
    "real": numbered_layout("real", 5),
    "sphere": numbered_layout("sphere", 4),
}
_NAMES = ("normal", "laplace", "uniform", "gennorm3")
_SCALES = st.floats(1e-6, 1e6)
_ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.sampled_from(["keep", "marginal"]),  # type: ignore[list-item]
    st.builds(Law, st.sampled_from(_NAMES), st.sampled_from([0.1, 0.2]) | _SCALES),
)


@st.composite
def rules(draw: Callable[..., object]) -> Rule:
    """Rules over all layouts."""
    layout: Layout = draw(st.sampled_from(list(LAYOUTS.values())))  # type: ignore[assignment]
    names: list[str] = draw(st.permutations(layout.names))  # type: ignore[assignment]
    clauses = []
    while names:
        size: int = draw(st.integers(1, len(names)))  # type: ignore[assignment]
        some, names = tuple(names[:size]), names[size:]
        action: Action = draw(_ACTIONS)  # type: ignore[assignment]
        how = "always" if action == "keep" else draw(st.sampled_from(["always", "@", "/"]))
        chance = draw(st.sampled_from([0.5, 1.0]) | st.floats(1e-9, 1.0)) if how == "@" else 1.0
        count = draw(st.integers(1, size)) if how == "/" else None
        clauses.append(Clause(some, action, chance, count))  # type: ignore[arg-type]
    if all(clause.action == "keep" for clause in clauses):
        clauses = [Clause(tuple(layout.names), "marginal")]
    return Rule(layout, tuple(clauses))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rules())
def test_a_rule_has_one_spelling(rule: Rule) -> None:
    text = spell_rule(rule)
    again = parse_rule(text, rule.layout)
    assert again == rule
    assert hash(again) == hash(rule)
    assert spell_rule(again) == text
    assert canonical(text, rule.layout) == text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rules(), st.randoms())
def test_order_and_grouping_of_clauses_mean_nothing(rule: Rule, rng: object) -> None:
    clauses = []
    for clause in rule.clauses:
        whole = clause.count is not None
        parts = [clause.units] if whole else [(name,) for name in clause.units]
        clauses += [Clause(part, clause.action, clause.chance, clause.count) for part in parts]
    rng.shuffle(clauses)  # type: ignore[attr-defined]
    shuffled = Rule(rule.layout, tuple(clauses))
    assert shuffled == rule
    assert spell_rule(shuffled) == spell_rule(rule)


@pytest.mark.parametrize(
    ("layout", "text", "spelled"),
    [
        ("box", "x,y,z=keep;rotations=normal:0.3;rest=marginal", None),
        ("box", " rest = marginal / 1 ", "rest=marginal/1"),
        ("box", "hues=normal:1@0.75;rest=keep", None),
        ("box", "rest=normal:.10", "normal:0.1"),
        ("box", "rest=normal:0.1/10", "normal:0.1"),
        ("box", "rest=normal:0.1@1", "normal:0.1"),
        ("box", "x=normal:2;rest=normal:1", "normal:2.0," + ",".join(["1.0"] * 9)),
        ("box", "x..z=keep;rest=marginal", "position=keep;rotation,theta,hue=marginal"),
        ("fixed", "position=keep;rest=marginal/2", "position=keep;rotation,hue=marginal/2"),
        ("fixed", "x=keep;rest=normal:1", "normal:1.0"),
        ("periodic", "rest=normal:0.1", "normal:0.1"),
        ("periodic", "sphere=laplace:1;rest=keep", "position=keep;sphere=vmf:1.0"),
        ("held", "rest=normal:0.1", "rest=vmf:0.1"),
        ("mixing", "z1,z2,z3=keep;z12,z11=marginal;rest=laplace:1", None),
        ("mixing", "z1..z11=marginal/1;rest=keep", "z1..z11=marginal/1;z12=keep"),
        ("sphere", "sphere=vmf:0.1@0.5", "rest=vmf:0.1@0.5"),
    ],
)
def test_spellings(layout: str, text: str, spelled: str | None) -> None:
    known = {
        "x,y,z=keep;rotations=normal:0.3;rest=marginal": (
            "position=keep;rotation=normal:0.3;theta,hue=marginal"
        ),
        "hues=normal:1@0.75;rest=keep": "position,rotation,theta=keep;hue=normal:1.0@0.75",
        "z1,z2,z3=keep;z12,z11=marginal;rest=laplace:1": (
            "z1..z3=keep;z4..z10=laplace:1.0;z11,z12=marginal"
        ),
    }
    assert canonical(text, LAYOUTS[layout]) == (spelled or known[text])


@pytest.mark.parametrize(
    "text", ["normal:0.10", "gennorm3.0:1e-1", "laplace:" + ",".join("1" * 10)]
)
def test_a_law_of_all_factors_is_stored_as_before(text: str) -> None:
    assert canonical(text, BOX) == spell_laws(parse_laws(text))


@pytest.mark.parametrize(
    ("layout", "text", "words"),
    [
        (
            "box",
            "hue=keep",
            "none for x, y, z, alpha, beta, gamma, theta; name them, or end",
        ),
        ("box", "x=keep;x=marginal;rest=keep", "expected x in one clause, found it twice"),
        ("box", "x,position=keep;rest=marginal", "expected x in one clause, found it twice"),
        ("box", "rest=keep@0.5", "keep: expected alone, found it with @P or /K"),
        ("box", "rest=keep/2", "keep: expected alone, found it with @P or /K"),
        ("box", "rest=marginal@1.5", "@P: expected a probability above 0, up to 1, found 1.5"),
        ("box", "rest=marginal@0", "@P: expected a probability above 0, up to 1, found 0"),
        ("box", "rest=marginal@nan", "@P: expected a probability above 0, up to 1, found nan"),
        ("box", "rest=marginal@", "@P: expected a probability, found ''"),
        ("box", "rest=marginal/11", "/K: expected 1 to 10, the factors of the clause, found 11"),
        ("box", "hue=marginal/0;rest=keep", "/K: expected 1 to 3, the factors of the clause"),
        ("box", "rest=marginal/x", "/K: expected a number of factors, found 'x'"),
        ("box", "rest=marginal/1.5", "/K: expected a number of factors, found '1.5'"),
        ("box", "rest=marginal/" + "9" * 5000, "/K: expected a number of factors, found '999"),
        ("box", "rest=normal:1/1@0.5", "expected @P or /K, found both"),
        ("box", "rest=normal:1@0.5/1", "@P: expected a probability, found '0.5/1'"),
        ("box", "rest=normal", "found 'normal'; did you mean 'normal:S'?"),
        ("box", "rest=move", "expected an action among keep, marginal, normal:S, laplace:S"),
        ("box", "rest=", "expected an action among keep, marginal"),
        ("box", "rest=normal:0", "scale S: expected a positive finite number, found 0"),
        ("box", "rest=normal:wide", "scale S: expected a number, found 'wide'"),
        ("box", "rest=normal:1,2", "expected one number in a clause, found 2; give a clause for"),
        ("box", "rest=vmf:1", "expected one that fits latents of the box space"),
        ("box", "rest=gennorm0.5:1", "beta: expected a finite number of at least 1"),
        ("box", "hug=keep;rest=normal:1", "found 'hug'; did you mean 'hue'?"),
        ("box", "=keep", "expected factors among x, y, z"),
        ("box", "sphere=keep;rest=marginal", "expected factors among x, y, z"),
        ("box", "rest=keep;rest=marginal", "rest: expected once"),
        ("box", "x..background_hue=normal:1;rest=keep", "found no other factor"),
        ("box", "rest=normal:1;", "expected FACTORS=ACTION, found ''"),
        ("box", "x keep;rest=normal:1", "expected FACTORS=ACTION, found 'x keep'"),
        ("box", "z..x=keep;rest=normal:1", "a range from the first to the last, found 'z..x'"),
        ("fixed", "x=normal:1;rest=keep", "expected x=keep, as it is fixed, found x=normal:1"),
        ("periodic", "alpha=keep;rest=marginal", "the sphere as a whole, found alpha, which is"),
        ("periodic", "rotation=keep;rest=marginal", "the sphere as a whole, found rotation"),
        ("periodic", "hues=keep;rest=marginal", "the sphere as a whole, found hues"),
        ("periodic", "sphere=vmf:0;rest=keep", "scale S: expected a positive finite number"),
        ("periodic", "rest=vmf:1", "expected one that fits latents of the box space"),
        ("sphere", "z1=keep;rest=vmf:1", "the sphere as a whole, found z1"),
        ("mixing", "z5..z13=keep;rest=marginal", "found 'z13'; did you mean"),
        ("mixing", "position=keep;rest=marginal", "expected factors among z1, z2"),
        ("mixing", "normal:1,2", "scale S: expected one number or 12, one for each free column"),
    ],
)
def test_bad_rules_cost_one_line(layout: str, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"^--pairs: expected [^\n]*$") as error:
        parse_rule(text, LAYOUTS[layout])
    assert words in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 700
