"""Plugins: classes and functions of users, by import path or by the name of an entry point.

An import path is written ``package.module:Name``. An installed package can also declare names in
the groups ``threedident.encoders``, ``threedident.losses``, ``threedident.metrics`` and
``threedident.sources``.

References:
    Entry points specification, Python Packaging Authority,
    https://packaging.python.org/en/latest/specifications/entry-points/
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Literal

from threedident.runtime.packages import PACKAGES

Kind = Literal["encoder", "loss", "metric", "source"]
_GROUPS: dict[Kind, str] = {
    "encoder": "threedident.encoders",
    "loss": "threedident.losses",
    "metric": "threedident.metrics",
    "source": "threedident.sources",
}


def is_plugin(name: str, kind: Kind) -> bool:
    """True if a name is an import path, or the name of an entry point of this kind."""
    return ":" in name or name in declared(kind)


@cache
def declared(kind: Kind) -> dict[str, EntryPoint]:
    """The entry points of a kind that installed packages declare, by name."""
    return {point.name: point for point in entry_points(group=_GROUPS[kind])}


def imported(name: str, kind: Kind) -> Callable[..., Any]:
    """The class or function at an import path, or behind an entry point.

    Modules in the working directory are found, too.

    Arguments:
        name: an import path, or the name of an entry point.
        kind: kind of the plugin, which also names the option in messages.

    Raises:
        ValueError: the name cannot be imported, or names something that cannot be called.
    """
    path = name if ":" in name else declared(kind)[name].value
    module, _, attribute = path.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        package = module.partition(".")[0]
        taken = f"rename the file, since {package} is a package of threedident"
        advice = taken if package in PACKAGES else "give package.module:Name"
        raise ValueError(
            f"{kind}: expected {path} to be importable from {here}, found "
            f"{type(error).__name__}: {error}; {advice}"
        ) from None
    finally:
        sys.path.remove(here)
    if not callable(found):
        raise ValueError(
            f"{kind}: expected {path} to be a class or a function, found {type(found).__name__}; "
            "name one"
        )
    return found  # type: ignore[no-any-return]
