"""Metrics of one's own, given as ``package.module:Name`` or by the name of an entry point.

A metric is a callable ``f(latents, codes, *, seed)`` that returns numbers or arrays by name.
``latents`` have shape (N, n) and ``codes`` shape (N, m), both float64. It may have two attributes:
``least_rows``, the smallest N that it takes, and ``domain(latents, codes)``, which returns a list
of warnings in words. Packages offer metrics in the entry-point group ``threedident.metrics``.

A metric that fails, or returns something else or NaN, gives one line and no result, so that it
never costs a training.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.metrics.readouts.targets import Array
from threedident.runtime.errors import printable

GROUP = "threedident.metrics"
_LONGEST = 300

Metric = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """What a metric gave.

    Arguments:
        numbers: numbers and nested lists of numbers by name; empty if the metric failed.
        remarks: warnings of its domain, or the line that says why there is no result.
    """

    numbers: dict[str, Any]
    remarks: list[str]

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain numbers, texts and lists."""
        return {"values": self.numbers, "remarks": self.remarks}


def find_metric(name: str) -> Metric:
    """The metric of an import path or of an entry point. The working directory is searched, too.

    Raises:
        ValueError: there is no such metric, it cannot be imported, or it cannot be called.
    """
    if ":" not in name:
        known = {point.name: point.value for point in entry_points(group=GROUP)}
        if name not in known:
            offered = ", ".join(sorted(known)) or "none"
            raise ValueError(
                f"--metric: expected package.module:Name, or one that a package offers "
                f"({offered}), found {printable(name)}; give one of these"
            )
        name = known[name]
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise ValueError(
            f"--metric: expected {printable(name)} to be importable from {here}, found "
            f"{type(error).__name__}: {error}; give package.module:Name"
        ) from None
    finally:
        sys.path.remove(here)
    if not callable(found):
        raise ValueError(
            f"--metric: expected {printable(name)} to be a function of latents and codes, found "
            f"{type(found).__name__}; give a callable"
        )
    return found  # type: ignore[no-any-return]


def measure(name: str, metric: Metric, latents: Array, codes: Array, seed: int) -> Outcome:
    """The outcome of a metric. No exception of the metric passes.

    Arguments:
        name: name of the metric, for messages.
        metric: the metric.
        latents: shape (N, n).
        codes: shape (N, m).
        seed: seed for the metric.
    """
    try:
        least = getattr(metric, "least_rows", 0)
        if len(latents) < least:
            return _none(name, f"expected at least {least} rows, found {len(latents)}")
        domain = getattr(metric, "domain", None)
        remarks = [] if domain is None else [str(line) for line in domain(latents, codes)]
        found = metric(latents.copy(), codes.copy(), seed=seed)
        if not isinstance(found, Mapping) or not found:
            return _none(name, f"expected numbers by name, found {type(found).__name__}")
        values = {}
        for key, value in found.items():
            array = np.asarray(value, dtype=np.float64)
            if not np.isfinite(array).all():
                return _none(name, f"expected finite numbers in {key}, found NaN or infinity")
            values[str(key)] = array.tolist()
    except Exception as error:
        return _none(name, f"expected numbers by name, found {type(error).__name__}: {error}")
    return Outcome(values, [_line(remark) for remark in remarks])


def _none(name: str, why: str) -> Outcome:
    return Outcome({}, [_line(f"metric {name}: {why}; it has no result in this run")])


def _line(text: str) -> str:
    return printable(" ".join(text.split()), _LONGEST)
