"""Arguments that users give as ``name=value``, of losses and of sources.

The default value of an argument in the signature decides its type. Arguments without a default
value, and those whose default is None, are numbers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from benchmark.plugins import Kind
from threedident.runtime.errors import printable, unknown

Parameters = Mapping[str, inspect.Parameter]


def parameters_of(
    make: Callable[..., Any], name: str, kind: Kind, taken: Collection[str]
) -> dict[str, inspect.Parameter]:
    """The arguments of a class or function that a user may give.

    Arguments:
        make: the class or function.
        name: its name, for messages.
        kind: kind of the plugin, for messages.
        taken: names of arguments that a run gives.

    Raises:
        ValueError: it has no signature in Python.
    """
    try:
        known = inspect.signature(make).parameters
    except ValueError:
        raise ValueError(
            f"{kind}: expected {name} to have a signature in Python, found none; wrap it in a "
            "function"
        ) from None
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {n: each for n, each in known.items() if each.kind in named and n not in taken}


def read_arguments(
    texts: Iterable[str], known: Parameters, owner: str, kind: Kind
) -> dict[str, bool | int | float | str]:
    """The values of arguments by name, sorted.

    Arguments:
        texts: the arguments as ``name=value``.
        known: arguments that may be given.
        owner: name of the loss or source, for messages.
        kind: kind of the plugin, which also names the option in messages.

    Raises:
        ValueError: there is no such argument, a value has another type, or a name is given twice.
    """
    option, values = f"--{kind}-option", {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(
                f"{option}: expected name=value, found {printable(text)}; write such a pair"
            )
        if name not in known:
            if not known:
                raise ValueError(
                    f"{option}: expected none for the {kind} {owner}, which takes no arguments, "
                    f"found {printable(name)}; leave it out"
                )
            raise ValueError(unknown(option, name, known, "name one of these"))
        if name in values:
            raise ValueError(f"{option}: expected {name} once, found it twice; give it once")
        values[name] = _value(option, name, value, known[name].default)
    return dict(sorted(values.items()))


def spell_arguments(values: Mapping[str, bool | int | float | str]) -> tuple[str, ...]:
    """Arguments as ``name=value``, in the one spelling that :func:`read_arguments` keeps."""
    return tuple(f"{name}={value}" for name, value in values.items())


def _value(option: str, name: str, text: str, default: object) -> bool | int | float | str:
    """The value of a text, which has the type of the argument's default value."""
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, str):
            return text
        return int(text) if isinstance(default, int) else float(text)
    except (KeyError, ValueError):
        kinds = {bool: "true or false", int: "an integer"}
        raise ValueError(
            f"{option}: expected {kinds.get(type(default), 'a number')} for {name}, found "
            f"{printable(text)!r}; give one"
        ) from None
