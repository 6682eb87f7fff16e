"""Click options of ``threedident benchmark``, made from the declarations of the settings."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import click
from pydantic import TypeAdapter

from benchmark.config import MOST_WIDTH
from benchmark.encoders.networks import ENCODERS
from benchmark.encoders.output_spaces import OUTPUT_SPACES, SUMS
from benchmark.losses.catalogue import LOSSES
from benchmark.option import SOURCES, Option
from benchmark.runs.options import OPTIONS, flag
from threedident.conditionals.law import CONDITIONALS
from threedident.conditionals.marginal import MARGINALS
from threedident.options import Choice, Seed, completed
from threedident.runtime.errors import printable

_Command = TypeVar("_Command", bound=Callable[..., Any])
_CLOSED = {
    "output_space": [*OUTPUT_SPACES, *SUMS],
    "marginal": sorted({name for names in MARGINALS.values() for name in names}),
}
_MOST_DIGITS = 9  # of a number of latents, which is checked later
_HEADINGS = ("Data", "Pairs", "Model", "Training", "Scoring", "Suite", "Run")
_SUGGESTED = {
    "source": SOURCES,
    "encoder": ENCODERS,
    "loss": LOSSES,
    "conditional": CONDITIONALS,
}


def run_options(command: _Command) -> _Command:
    """Add the options of a run to a command, one for each of :data:`OPTIONS`."""
    for name, (hint, option) in reversed(OPTIONS.items()):
        command = click.option(flag(name), **_asked_for(name, hint, option))(command)
    return command


def headings(**others: list[str]) -> dict[str, list[str]]:
    """The names of the options under each heading of the help.

    Arguments:
        others: names of further options of the command, by heading.
    """
    found: dict[str, list[str]] = {name: [] for name in _HEADINGS}
    for name, (_, option) in OPTIONS.items():
        found[option.heading].append(name)
    return {heading: names + others.get(heading, []) for heading, names in found.items()}


def _asked_for(name: str, hint: Any, option: Option) -> dict[str, Any]:
    """The arguments of :func:`click.option` for a setting.

    Arguments:
        name: name of the setting.
        hint: type of its field.
        option: its declaration.
    """
    asked: dict[str, Any] = {"help": option.help, "default": option.default}
    kind = _kind(hint)
    if kind is bool:
        return asked | {"is_flag": True}
    if kind is Path:
        return asked | {"type": click.Path(path_type=Path)}
    if name in ("loss_option", "source_option"):
        return asked | {"multiple": True, "callback": _texts, "metavar": "NAME=VALUE"}
    if name == "metric":
        return asked | {"multiple": True, "callback": _names, "metavar": "NAME", "default": None}
    if get_origin(kind) is tuple:
        return asked | {"callback": _seeds if name == "seeds" else _widths, "metavar": "LIST"}
    if get_origin(kind) is Literal:
        return asked | {"type": Choice(get_args(kind))}
    if name in _CLOSED:
        return asked | {"type": Choice(_CLOSED[name])}
    if kind is int:
        return asked | {"type": click.IntRange(**_bounds(hint))}
    if kind is float:
        return asked | {"type": click.FloatRange(**_bounds(hint)), "callback": _finite}
    if name == "factors":
        return asked | {"metavar": "LIST|N", "callback": _names_or_number}
    if name not in _SUGGESTED:
        return asked
    names = _SUGGESTED[name]
    text = option.help.format(names=", ".join(names))
    return asked | {"metavar": "NAME", "shell_complete": completed(names), "help": text}


def _kind(hint: Any) -> Any:
    """The type of a setting, without None and without what annotates it."""
    while get_origin(hint) in (Annotated, Union, UnionType):
        hint = get_args(hint)[0]
    return hint


def _bounds(hint: Any) -> dict[str, Any]:
    """The bounds of a number, as click's ranges take them."""
    schema = TypeAdapter(hint).json_schema()
    schema = schema.get("anyOf", [schema])[0]  # the other one is None
    found: dict[str, Any] = {}
    if "maximum" in schema:
        found["max"] = schema["maximum"]
    if "minimum" in schema:
        found["min"] = schema["minimum"]
    elif "exclusiveMinimum" in schema:
        least, whole = schema["exclusiveMinimum"], schema["type"] == "integer"
        found |= {"min": least + 1} if whole else {"min": least, "min_open": True}
    return found


def _names_or_number(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: str | None,
) -> str | int | None:
    few_digits = value is not None and value.isdecimal() and len(value) <= _MOST_DIGITS
    return int(value) if few_digits and value is not None else value


def _finite(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"expected a finite number, found {value}", ctx=ctx, param=param)
    return value


def _names(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: tuple[str, ...],
) -> tuple[str, ...]:
    """The names of an option that may be given again, or once with commas, without repetition."""
    return tuple(dict.fromkeys(name for part in value for name in part.split(",")))


def _seeds(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    if value is None:
        return None
    numbers = tuple(Seed().convert(part, param, ctx) for part in value.split(","))
    if len(set(numbers)) != len(numbers):
        raise click.BadParameter(
            f"expected distinct integers such as 0,1,2, found {printable(value)}",
            ctx=ctx,
            param=param,
        )
    return numbers


def _texts(
    ctx: click.Context,  # noqa: ARG001
    param: click.Parameter,  # noqa: ARG001
    value: tuple[str, ...],
) -> tuple[str, ...] | None:
    """The parts of all given texts, which commas separate."""
    return tuple(part for text in value for part in text.split(",")) or None


def _widths(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    if value is None:
        return None
    kind: click.ParamType[int] = click.IntRange(1, MOST_WIDTH)
    return tuple(kind.convert(part, param, ctx) for part in value.split(","))
