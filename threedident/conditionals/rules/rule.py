"""Rules of positive pairs: for every factor whether it is kept, moved by a law, or redrawn.

The rule divides the factors into content (always kept), style (drawn around the anchor, or
changed for some pairs only) and private ones (always drawn from the marginal).

References:
    Self-Supervised Learning with Data Augmentations Provably Isolates Content from Style, von
    Kügelgen, Sharma, Gresele, Brendel, Schölkopf, Besserve, Locatello, 2021,
    https://arxiv.org/abs/2106.04619
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np

from threedident.conditionals.conditional import Conditional, as_positive
from threedident.conditionals.law import Law, conditional_of
from threedident.conditionals.marginal import Marginal, Redraw
from threedident.conditionals.product import Choice, Masked, Part, Product
from threedident.latents.layout import SPHERE, Layout, Unit
from threedident.runtime.arrays import is_tensor
from threedident.runtime.errors import unknown

Action: TypeAlias = Law | Literal["keep", "marginal"]
Role = Literal["content", "style", "private"]


@dataclass(frozen=True)
class Clause:
    """One action on some units of a layout.

    Arguments:
        units: names of the units.
        action: ``keep``, ``marginal`` or a law.
        chance: probability that it acts, for each unit and pair independently.
        count: number of units on which it acts, chosen uniformly for each pair; None for all.

    Raises:
        ValueError: the numbers do not fit each other, the units or the action.
    """

    units: tuple[str, ...]
    action: Action
    chance: float = 1.0
    count: int | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.chance <= 1.0:
            raise ValueError(f"@P: expected a probability above 0, up to 1, found {self.chance:g}")
        if self.count is not None and not 1 <= self.count <= len(self.units):
            raise ValueError(
                f"/K: expected 1 to {len(self.units)}, the factors of the clause, found "
                f"{self.count}"
            )
        if self.action == "keep" and (self.chance < 1.0 or self.count is not None):
            raise ValueError("keep: expected alone, found it with @P or /K; leave these out")
        if self.chance < 1.0 and self.count is not None:
            raise ValueError("action: expected @P or /K, found both; leave one out")
        if isinstance(self.action, Law):
            as_positive("scale S", self.action.sigma)

    @property
    def always(self) -> bool:
        """True if the action acts on all units in every pair."""
        return self.chance == 1.0 and self.count is None


@dataclass(frozen=True)
class Rule:
    """What becomes of every factor from an anchor to its positive.

    Rules that mean the same are equal: their clauses are brought into one form.

    Arguments:
        layout: units of the latent space.
        clauses: clauses that name every unit once.

    Raises:
        ValueError: a unit has no clause or two, or a law does not fit its space.

    Example:
        rule = parse_rule("position=keep;hue=marginal;rest=normal:0.3")
        positives = rule.conditional().sample(anchors, rng)
        rule.roles["x"]  # content
    """

    layout: Layout = field(repr=False)
    clauses: tuple[Clause, ...]

    def __post_init__(self) -> None:
        named = [name for clause in self.clauses for name in clause.units]
        for name in named:
            if named.count(name) > 1:
                raise ValueError(f"expected {name} in one clause, found it twice; keep one")
            if name not in self.layout.names:
                raise ValueError(unknown("units", name, self.layout.names))
        missing = [name for name in self.layout.names if name not in named]
        if missing:
            raise ValueError(
                f"expected an action for every factor, found none for {', '.join(missing)}; name "
                f"them, or end with rest=ACTION"
            )
        object.__setattr__(self, "clauses", _normal(self.layout, self.clauses))
        self._drawn  # noqa: B018  raises for laws that do not fit

    @property
    def changes(self) -> bool:
        """False if every factor is kept in every pair."""
        return any(clause.action != "keep" for clause in self.clauses)

    @property
    def roles(self) -> dict[str, Role]:
        """The role of every factor; a fixed factor is content."""
        found: dict[str, Role] = dict.fromkeys(self.layout.factors, "content")
        for clause in self.clauses:
            for unit in map(self.layout.unit, clause.units):
                found |= {self.layout.factors[number]: _role(clause) for number in unit.factors}
        return found

    @property
    def kept(self) -> tuple[Unit, ...]:
        """The units that are kept in every pair."""
        kept = {n for clause in self.clauses if clause.action == "keep" for n in clause.units}
        return tuple(unit for unit in self.layout.units if unit.name in kept)

    @property
    def sometimes(self) -> tuple[Unit, ...]:
        """The units that are kept in some pairs only."""
        some = {n for clause in self.clauses if not clause.always for n in clause.units}
        return tuple(unit for unit in self.layout.units if unit.name in some)

    @property
    def masks(self) -> int:
        """Number of different sets of units that a pair may change."""
        return math.prod(
            math.comb(len(clause.units), clause.count) if clause.count else 2 ** len(clause.units)
            for clause in self.clauses
            if not clause.always
        )

    @property
    def laws(self) -> tuple[Law, ...]:
        """The law of every unit in order; empty unless a law moves every unit in every pair."""
        found: dict[str, Law] = {}
        for clause in self.clauses:
            if not isinstance(clause.action, Law) or not clause.always:
                return ()
            found |= dict.fromkeys(clause.units, clause.action)
        return tuple(found[name] for name in self.layout.names)

    @property
    def law(self) -> Law | None:
        """The law of all units, if they have one with one scale; None otherwise."""
        laws, names = self.laws, self.layout.names
        alike = (law == _on(self.layout, n, laws[0]) for n, law in zip(names, laws, strict=False))
        return laws[0] if laws and all(alike) else None

    def conditional(self, marginal: str | None = None, stretch: float = 1.0) -> Conditional:
        """The conditional p(z~ | z) of the rule.

        Arguments:
            marginal: name of the marginal, see
                :class:`~threedident.conditionals.marginal.Marginal`; by default the uniform one,
                in R^n the normal one.
            stretch: factor from the units of the scales to those of the latents in a box.

        Raises:
            ValueError: a law or the marginal does not fit the space.
        """
        usual = "normal" if self.layout.space == "real" else "uniform"
        parts = _parts(self.layout, self.clauses, marginal or usual, stretch)
        product = Product(self.layout.dimension, parts)
        choices = tuple(
            Choice(
                tuple(self.layout.unit(name).columns for name in clause.units),
                clause.chance,
                clause.count,
            )
            for clause in self.clauses
            if not clause.always
        )
        return Masked(product, choices) if choices else product

    def changed(self, uniforms: Any) -> Any:
        """The factors that change, shape (B, factors), bool, from the numbers of the positives.

        Arguments:
            uniforms: the numbers given to :meth:`Conditional.transform` of the conditional, an
                array or a tensor.
        """
        return self.layout.over_factors(self.acting(uniforms))

    def acting(self, uniforms: Any) -> Any:
        """Like :meth:`changed`, for the units of the layout, shape (B, units)."""
        names, shape = self.layout.names, (len(uniforms), len(self.layout.names))
        tensor = is_tensor(uniforms)
        mask = uniforms.new_ones(shape).bool() if tensor else np.ones(shape, np.bool_)
        mask[:, [names.index(unit.name) for unit in self.kept]] = False
        drawn, some = self._drawn, [clause for clause in self.clauses if not clause.always]
        if isinstance(drawn, Masked):
            for clause, acts in zip(some, drawn.masks(uniforms), strict=True):
                mask[:, [names.index(name) for name in clause.units]] = acts
        return mask

    @cached_property
    def _drawn(self) -> Conditional:
        return self.conditional()


def _role(clause: Clause) -> Role:
    if clause.action == "keep":
        return "content"
    return "private" if clause.action == "marginal" and clause.always else "style"


def _normal(layout: Layout, clauses: tuple[Clause, ...]) -> tuple[Clause, ...]:
    """Clauses of one form: equal actions joined, units and clauses in the order of the layout."""
    alone: dict[tuple[Action, float], list[str]] = {}
    found = []
    for clause in clauses:
        if clause.count is not None and clause.count < len(clause.units):
            found.append(replace(clause, units=layout.sort(clause.units)))
            continue
        for name in clause.units:
            action = _on(layout, name, clause.action)
            alone.setdefault((action, clause.chance), []).append(name)
    for (action, chance), names in alone.items():
        found.append(Clause(layout.sort(names), action, chance))
    return tuple(sorted(found, key=lambda clause: layout.names.index(clause.units[0])))


def _on(layout: Layout, name: str, action: Action) -> Action:
    """The action on a unit; any law on the sphere of the periodic space is a von Mises-Fisher."""
    if layout.space == "periodic" and name == SPHERE and isinstance(action, Law):
        return Law("vmf", action.sigma)
    return action


def _parts(
    layout: Layout, clauses: tuple[Clause, ...], marginal: str, stretch: float
) -> tuple[Part, ...]:
    """Parts of the units that are not kept: one for each law or marginal, and one for a sphere."""
    actions = {name: clause.action for clause in clauses for name in clause.units}
    space = "real" if layout.space == "real" else "box"
    flat: dict[str, list[tuple[int, Action]]] = {}
    sphere = []
    for unit in layout.units:
        action = actions[unit.name]
        if action == "keep":
            continue
        if unit.held:
            raise ValueError(
                f"expected {unit.name}=keep or no fixed angle, found {', '.join(unit.held)} "
                "fixed, but then positives cannot follow a law on the sphere; fix positions only, "
                "or take the box"
            )
        if unit.name == SPHERE:
            sphere.append(Part(unit.columns, _on_sphere(layout, unit, action, marginal)))
        else:
            kind = action.name if isinstance(action, Law) else action
            flat.setdefault(kind, []).append((unit.columns[0], action))
    parts = []
    for found in flat.values():
        laws = [replace(a, sigma=stretch * a.sigma) for _, a in found if isinstance(a, Law)]
        for law in laws:
            law.conditional(space)  # raises unless it fits
        drawn = (
            conditional_of(laws, space) if laws else Redraw(Marginal(space, marginal, len(found)))
        )
        parts.append(Part(tuple(column for column, _ in found), drawn))
    return (*parts, *sphere)


def _on_sphere(layout: Layout, unit: Unit, action: Action, marginal: str) -> Conditional:
    law = _on(layout, unit.name, action)
    if isinstance(law, Law):
        return law.conditional("sphere")
    return Redraw(Marginal("sphere", marginal, len(unit.columns)))
