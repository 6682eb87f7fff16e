"""Spelling of rules, as ``--pairs``, manifests and configurations have it.

A rule is spelled by clauses ``FACTORS=ACTION`` with semicolons between them, such as
``position=keep;rotation=normal:0.3;hue=marginal``. FACTORS are names of factors, groups or ranges
such as ``z1..z5`` with commas between them, or ``rest``. An ACTION is

- ``keep``: the positive copies the factor from its anchor,
- ``normal:S``, ``laplace:S``, ``gennormB:S``, ``uniform:S``, on a sphere also ``vmf:S``: the
  factor is drawn from this law around the anchor,
- ``marginal``: the factor is drawn from the marginal, independent of the anchor.

``ACTION@P`` acts on each factor of the clause with probability P, independently. ``ACTION/K`` acts
on K of the factors, chosen uniformly for each pair. The others are kept. A text without ``=`` is a
law of all factors, such as ``normal:0.1``, or ``normal:0.1,0.2`` with one scale for each factor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from threedident.conditionals.conditional import Conditional
from threedident.conditionals.law import Law, parse_laws, spell_laws
from threedident.conditionals.rules.rule import Action, Clause, Rule
from threedident.latents.layout import SPHERE, Layout, layout_of
from threedident.runtime.errors import nearest, printable

_LAWS = "normal:S, laplace:S, gennormB:S or uniform:S"
_CLAUSES = "FACTORS=ACTION;... such as position=keep;rest=normal:0.1"
_REST = "rest"
_WORDS: tuple[Literal["keep", "marginal"], ...] = ("keep", "marginal")
_QUOTED = 80  # characters of a part in a message
_REASON = 400  # characters of what is wrong
_MOST_DIGITS = 6


def parse_conditional(text: str, space: str, fixed: Mapping[str, float]) -> Conditional:
    """The conditional over a latent space of images from the value of ``--pairs``.

    Arguments:
        text: a rule, see :mod:`threedident.conditionals.rules.spelling`.
        space: name of the latent space.
        fixed: raw value of each fixed factor; positives copy it from their anchors.

    Raises:
        ValueError: the text spells no rule of this space, or a fixed angle forbids it.
    """
    return parse_rule(text, layout_of(space, fixed)).conditional()


def parse_rule(text: str, layout: Layout | None = None) -> Rule:
    """The rule in a text.

    Any law S on the sphere of the periodic space is a von Mises-Fisher with kappa = 1 / S, as in
    the paper.

    Arguments:
        text: see :mod:`threedident.conditionals.rules.spelling`.
        layout: units of the latent space; by default those of the box.

    Raises:
        ValueError: the text is malformed, names no factor of the space, leaves one out, or gives
            one a law that does not fit.
    """
    layout = layout_of("box") if layout is None else layout
    try:
        return Rule(layout, tuple(_clauses(text, layout)))
    except ValueError as error:
        forms, found = _CLAUSES if "=" in text else _LAWS, printable(repr(text))
        reason = printable(str(error), _REASON)
        raise ValueError(f"--pairs: expected {forms}, found {found}; {reason}") from None


def require_change(rule: Rule) -> Rule:
    """The rule, which must change a factor.

    Raises:
        ValueError: it keeps every factor, so the positive would be its anchor.
    """
    if rule.changes:
        return rule
    raise ValueError(
        f"--pairs: expected a factor that changes, found {spell_rule(rule)}, so positives would "
        "be their anchors; give a factor a law or marginal"
    )


def spell_rule(rule: Rule) -> str:
    """The inverse of :func:`parse_rule`; equal rules have one spelling."""
    laws, layout = rule.laws, rule.layout
    if rule.law is not None and layout.names[0] != SPHERE:
        return spell_laws([rule.law])
    if len({law.name for law in laws}) == 1 and SPHERE not in layout.names:
        return spell_laws(laws)
    if len(rule.clauses) == 1:
        return f"{_REST}={_spell_action(rule.clauses[0])}"
    clauses = (f"{layout.spell(c.units)}={_spell_action(c)}" for c in rule.clauses)
    return ";".join(clauses)


def canonical(text: str, layout: Layout) -> str:
    """The spelling under which a rule is stored.

    A text without ``=`` keeps its scales as they are given, as in earlier versions.

    Raises:
        ValueError: see :func:`parse_rule`.
    """
    rule = parse_rule(text, layout)
    return spell_rule(rule) if "=" in text else spell_laws(parse_laws(text))


def _clauses(text: str, layout: Layout) -> Iterator[Clause]:
    if "=" not in text:
        yield from _laws(text, layout)
        return
    parts = [_Part(part, layout) for part in text.split(";")]
    named = {name for part in parts for name in part.units}
    others = tuple(name for name in layout.names if name not in named)
    rests = [part for part in parts if part.is_rest]
    if rests and (len(rests) > 1 or not others):
        found = "no other factor" if not others else "it twice"
        raise ValueError(f"{_REST}: expected once, for factors without a clause, found {found}")
    for part in parts:
        units = others if part.is_rest else part.units
        if units:
            yield part.clause(units)


class _Part:
    """One clause of a text."""

    def __init__(self, text: str, layout: Layout) -> None:
        factors, equals, self._action = (part.strip() for part in text.partition("="))
        if not equals:
            raise ValueError(f"expected FACTORS=ACTION, found {printable(repr(text), _QUOTED)}")
        names = [name.strip() for name in factors.split(",")]
        self.is_rest = names == [_REST]
        self.units = () if self.is_rest else tuple(u for name in names for u in layout.read(name))
        fixed = [name for name in names if name in layout.factors and not layout.read(name)]
        if fixed and self._action != "keep":
            raise ValueError(
                f"expected {fixed[0]}=keep, as it is fixed, found {fixed[0]}="
                f"{printable(self._action, _QUOTED)}; leave it out"
            )

    def clause(self, units: tuple[str, ...]) -> Clause:
        text, at, chance = self._action.partition("@")
        text, slash, count = text.partition("/")
        return Clause(
            units,
            _action(text.strip()),
            _chance(chance.strip()) if at else 1.0,
            _count(count.strip()) if slash else None,
        )


def _laws(text: str, layout: Layout) -> Iterator[Clause]:
    """A clause for each unit from a text without ``=``."""
    laws = parse_laws(text)
    names, sphere = layout.names, SPHERE in layout.names
    if len(laws) not in (1, 1 if sphere else len(names)):
        several = f" or {len(names)}, one for each free column"
        expected = ", as a sphere takes" if sphere else several if len(names) > 1 else ""
        raise ValueError(
            f"scale S: expected one number{expected}, found {len(laws)}; give so many"
        )
    for name, law in zip(names, laws if len(laws) > 1 else laws * len(names), strict=True):
        yield Clause((name,), law)


def _action(text: str) -> Action:
    for word in _WORDS:
        if text == word:
            return word
    if ":" not in text:
        known = (*_WORDS, "normal:S", "laplace:S", "gennorm3:S", "uniform:S", "vmf:S")
        near = nearest(text[:_QUOTED], known)
        end = "name one of these" if near is None else f"did you mean {near!r}?"
        raise ValueError(
            f"expected an action among {', '.join(known)}, found "
            f"{printable(repr(text), _QUOTED)}; {end}"
        )
    laws = parse_laws(text, sphere=True)
    if len(laws) > 1:
        raise ValueError(
            f"scale S: expected one number in a clause, found {len(laws)}; give a clause for each"
        )
    return laws[0]


def _spell_action(clause: Clause) -> str:
    action = spell_laws([clause.action]) if isinstance(clause.action, Law) else clause.action
    if clause.count is not None:
        return f"{action}/{clause.count}"
    return action if clause.chance == 1.0 else f"{action}@{clause.chance}"


def _chance(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            f"@P: expected a probability, found {printable(repr(text), _QUOTED)}"
        ) from None


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < _MOST_DIGITS):
        raise ValueError(
            f"/K: expected a number of factors, found {printable(repr(text), _QUOTED)}"
        )
    return int(text)
