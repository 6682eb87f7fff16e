"""Sources of users, made from their import paths and arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmark.arguments import parameters_of, read_arguments, spell_arguments
from benchmark.option import SOURCES
from benchmark.plugins import declared, imported, is_plugin
from benchmark.settings import CustomSettings, Observations
from benchmark.sources.custom.checked import CheckedSource
from benchmark.sources.source import Source
from threedident.runtime.errors import unknown
from threedident.runtime.files import sha256

_GIVEN = ("data", "paired")  # by the run, if the signature asks for them


def is_custom(name: str) -> bool:
    """True if the name of a source is a plugin."""
    return name not in SOURCES and is_plugin(name, "source")


def require_known(name: str) -> None:
    """Check that a name is the name of a source or of a plugin.

    Raises:
        ValueError: it is neither.
    """
    if name not in SOURCES and not is_custom(name):
        advice = "take one of these, or an import path such as my_package.data:MySource"
        raise ValueError(unknown("--source", name, [*SOURCES, *declared("source")], advice))


def checked_options(name: str, texts: Iterable[str]) -> tuple[str, ...]:
    """Arguments of a source in their canonical spelling, sorted by name.

    Arguments:
        name: import path of the source, or the name of an entry point.
        texts: the arguments as ``name=value``.

    Raises:
        ValueError: the source has no such argument, a value has another type, or a name is given
            twice.
    """
    return spell_arguments(_read(name, imported(name, "source"), texts))


def open_custom(
    name: str, options: Iterable[str], data: Path | None, paired: bool
) -> CheckedSource:
    """The source of a plugin, with checks of all that it gives.

    Arguments:
        name: import path of the class or function, or the name of an entry point.
        options: its arguments as ``name=value``.
        data: path of its data; None if none is named.
        paired: True if the loss uses positive pairs.

    Raises:
        ValueError: the source cannot be made, or states what does not fit.
    """
    make = imported(name, "source")
    asked = parameters_of(make, name, "source", ())
    values = _read(name, make, options)
    given: dict[str, Any] = {**values, **({"paired": paired} if "paired" in asked else {})}
    if data is not None and "data" not in asked:
        raise ValueError(
            f"--data: expected with a source that has an argument data, found it with {name}; "
            "leave it out"
        )
    if data is not None:
        given["data"] = data
    source = _made(name, make, given)
    settings = CustomSettings(
        name=name,
        data="",
        observed=_observations(name, source),
        source_option=spell_arguments(values) or None,
    )
    identity = CheckedSource(settings, source, paired).identify()
    settings = settings.model_copy(update={"data": sha256(identity.encode())})
    return CheckedSource(settings, source, paired, data)


def _read(
    name: str, make: Callable[..., Any], texts: Iterable[str]
) -> dict[str, bool | int | float | str]:
    return read_arguments(texts, parameters_of(make, name, "source", _GIVEN), name, "source")


def _made(name: str, make: Callable[..., Any], given: dict[str, Any]) -> Source:
    try:
        source = make(**given)
    except Exception as error:
        spelt = ", ".join(f"{key}={value}" for key, value in given.items())
        raise ValueError(
            f"source: expected {name}({spelt}) to make a source, found {type(error).__name__}: "
            f"{error}; change the source or its options"
        ) from None
    if not isinstance(source, Source):
        raise ValueError(
            f"source: expected {name} to make a benchmark.sources.source.Source, found "
            f"{type(source).__name__}; return one"
        )
    if type(source).preprocess is not Source.preprocess:
        raise ValueError(
            f"source: expected {name} without preprocess, which an encoder that is loaded without "
            "the data does not have, found one; prepare the observations in batches and held_out"
        )
    return source


def _observations(name: str, source: Source) -> Observations:
    """What a source states of its observations.

    Raises:
        ValueError: an entry is missing, or does not fit.
    """
    try:
        return Observations(
            shape=tuple(source.shape),
            labels=tuple(source.labels),
            codes=source.codes,
            sphere=source.sphere,
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        what = f"{'.'.join(map(str, first['loc'])) or 'labels'}: {first['msg']}"
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
    raise ValueError(
        f"source {name}: expected shape, labels, codes and sphere that fit, found {what}; change "
        "the source"
    )
