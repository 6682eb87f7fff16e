"""Progress of long work: a bar on a terminal, elsewhere a line every 30 seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PERIOD_S = 30.0


class Advance(Protocol):
    """Reports ``count`` more units done, with an optional note to show beside them."""

    def __call__(self, count: int = 1, note: str = "") -> None:
        """Report progress."""
        ...

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        ...


def say(line: str) -> None:
    """Print a line on standard error, whole."""
    Console(stderr=True).print(line, highlight=False, soft_wrap=True, markup=False)


@contextmanager
def progress(title: str, total: int, unit: str, quiet: bool = False) -> Iterator[Advance]:
    """Show the progress of ``total`` units on standard error, where not ``quiet``."""
    console = Console(stderr=True, quiet=quiet)
    if console.is_terminal and not quiet:
        with _bar(console, title, total, unit) as advance:
            yield advance
    else:
        yield _Lines(console, title, total, unit)


@contextmanager
def _bar(console: Console, title: str, total: int, unit: str) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bar:
        yield _Bar(bar, title, total, unit)


class _Bar:
    def __init__(self, bar: Progress, title: str, total: int, unit: str) -> None:
        self._bar, self._unit = bar, unit
        self._task = bar.add_task(title, total=total, rate="", note="")

    def __call__(self, count: int = 1, note: str = "") -> None:
        speed = self._bar.tasks[self._task].speed
        rate = f"{speed:.3g} {self._unit}/s" if speed else ""
        self._bar.update(self._task, advance=count, rate=rate, note=note)

    def say(self, line: str) -> None:
        self._bar.console.print(line, highlight=False, soft_wrap=True, markup=False)


class _Lines:
    def __init__(self, console: Console, title: str, total: int, unit: str) -> None:
        self._console, self._title, self._total, self._unit = console, title, total, unit
        self._done = 0
        self._start = self._said = time.monotonic()

    def __call__(self, count: int = 1, note: str = "") -> None:
        self._done += count
        now = time.monotonic()
        if now - self._said < PERIOD_S and self._done != self._total:
            return
        self._said = now
        rate = self._done / max(now - self._start, 1e-9)
        left = (self._total - self._done) / rate if rate else float("inf")
        self.say(
            f"{self._title}: {self._done}/{self._total} {self._unit}, {rate:.3g} {self._unit}/s, "
            f"{left:.0f} s left{', ' + note if note else ''}"
        )

    def say(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True, markup=False)
