"""Differences of configurations, and digests that identify them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from benchmark.config import Config
from threedident.runtime.errors import printable
from threedident.runtime.files import sha256

_QUOTED = 80  # characters of a value in a message


def differences(old: Config, new: Config) -> list[str]:
    """The differing fields of two configurations, as ``name old where new is asked for``."""
    return changes(flat(old), flat(new))


def changes(was: Mapping[str, Any], is_now: Mapping[str, Any]) -> list[str]:
    """The differing values of two sets of settings, as ``name old where new is asked for``."""
    return [
        f"{_quoted(name)} {_quoted(was.get(name))} where {_quoted(is_now.get(name))} is asked for"
        for name in {**was, **is_now}
        if was.get(name) != is_now.get(name)
    ]


def _quoted(value: object) -> str:
    return printable(str(value), _QUOTED)


def flat(config: Config) -> dict[str, Any]:
    """All settings by name; nested ones have names such as ``source.conditional.sigma``."""
    return dict(_flattened(config.model_dump()))


def short_digest(config: Config) -> str:
    """Six hex digits that identify a configuration, the same on every machine.

    Fields with their default value do not count, so a field added later changes no digest.
    """
    values = config.model_dump(mode="json", exclude_defaults=True)
    return sha256(json.dumps(values, sort_keys=True).encode())[:6]


def _flattened(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
