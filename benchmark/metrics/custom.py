"""Metrics of one's own, given as ``package.module:Name`` or by the name of an entry point.

A metric is a callable ``f(latents, codes, *, seed)`` that returns numbers or arrays by name.
``latents`` have shape (N, n) and ``codes`` shape (N, m), both float64. It may have two attributes:
``least_rows``, the smallest N that it takes, and ``domain(latents, codes)``, which returns a list
of warnings in words. Packages offer metrics in the entry-point group ``threedident.metrics``.

A metric that fails, or returns something else or NaN, gives one line and no result, so that it
never costs a training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmark.metrics.readouts.targets import Array
from benchmark.plugins import declared, imported, is_plugin
from threedident.runtime.errors import printable

_LONGEST = 300

Metric = Callable[..., Mapping[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """The result of a metric.

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
    if not is_plugin(name, "metric"):
        offered = ", ".join(sorted(declared("metric"))) or "none"
        raise ValueError(
            f"--metric: expected package.module:Name, or one that a package offers ({offered}), "
            f"found {printable(name)}; give one of these"
        )
    return imported(name, "metric")


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
