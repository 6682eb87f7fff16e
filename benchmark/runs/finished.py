"""Finished runs: search in folders, and reading of their results without the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.config import Config
from benchmark.training.folder import RunFolder, is_run, is_suite, what_is
from threedident.runtime.errors import RUNS, advise

_DEPTH = 2  # levels to search: a folder may contain suites, which contain runs


@dataclass(frozen=True, eq=False)
class Finished:
    """A run with its scores.

    Arguments:
        path: path of its folder.
        config: configuration of the run.
        scores: content of its ``scores.json``.
    """

    path: Path
    config: Config
    scores: dict[str, Any]

    def mean(self, score: str) -> float | None:
        """The mean of a score over the seeds; None if it is not recorded."""
        return _number(self.scores.get(score))

    def sd(self, score: str) -> float | None:
        """The sample standard deviation over the seeds; None for one seed."""
        return _number(self.scores.get(f"{score}_sd"))

    def untrained(self, score: str) -> float | None:
        """The mean of a score before training."""
        return _number(_entry(self.scores.get("untrained"), score))

    def by_seed(self, score: str) -> list[float]:
        """The score of each seed."""
        seeds = self.scores.get("seeds")
        records = seeds if isinstance(seeds, list) else []
        found = [_number(_entry(_entry(record, "trained"), score)) for record in records]
        return [value for value in found if value is not None]


def find_runs(paths: Sequence[Path]) -> tuple[list[Finished], list[str]]:
    """The finished runs in some folders, each once, and remarks on what was skipped.

    Arguments:
        paths: folders of runs or of suites, or folders that contain several of them.

    Returns:
        Runs in the given order, and one line on each folder or file that is not a finished run.

    Raises:
        ValueError: a path does not exist.
    """
    found: dict[Path, Finished] = {}
    remarks: list[str] = []
    for path in paths:
        if not path.exists():
            advice = advise(path, _is_or_holds_run, "check the name", RUNS)
            raise ValueError(f"{path}: expected a run's folder, found nothing; {advice}")
        for place in _expand(path, _DEPTH) or [path]:
            try:
                run = _read(place)
            except ValueError as error:
                remarks.append(str(error))
            else:
                found.setdefault(place.resolve(), run)
    return list(found.values()), list(dict.fromkeys(remarks))


def _is_or_holds_run(path: Path) -> bool:
    return is_run(path) or is_suite(path)


def _expand(path: Path, depth: int) -> list[Path]:
    """The folders of runs in ``path``, which may itself be one, down to ``depth`` levels."""
    if is_run(path) or not path.is_dir():
        return [path] if is_run(path) else []
    if not depth:
        return []
    return [run for child in sorted(path.iterdir()) for run in _expand(child, depth - 1)]


def _read(path: Path) -> Finished:
    """The finished run in a folder.

    Raises:
        ValueError: there is no finished run, or its files are damaged.
    """
    folder = RunFolder(path)
    if not folder.config.is_file():
        raise ValueError(f"{path}: no run, but {what_is(path)}")
    config = folder.read_config()
    if not folder.scores.is_file():
        raise ValueError(
            f"{path}: a run that has not ended; threedident benchmark --resume {path} goes on"
        )
    scores = folder.read_scores()
    if _number(_entry(scores, "mcc")) is None and _number(_entry(scores, "r2")) is None:
        raise ValueError(
            f"{folder.scores}: no scores, but a damaged file; threedident benchmark --resume "
            f"{path} writes it again"
        )
    return Finished(path, config, scores)


def _entry(record: object, name: str) -> object:
    return record.get(name) if isinstance(record, dict) else None


def _number(value: object) -> float | None:
    """The value as a float if it is a finite number, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
