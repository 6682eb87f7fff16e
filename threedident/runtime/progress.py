"""Progress of long work: a bar on a terminal, or else a line every 30 seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from threedident.runtime.errors import printable

PERIOD_S = 30.0
_LONGEST = 2000  # characters of a line
_MEASURED_S = 0.5  # a rate is not shown for work that took less
_MB = 10**6


class Advance(Protocol):
    """Callback that reports ``count`` more units as done, with an optional note to show."""

    def __call__(self, count: int = 1, note: str = "") -> None:
        """Report progress."""
        ...

    def skip(self, count: int) -> None:
        """Report units that an earlier run did; they do not count for the rate."""
        ...

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        ...


def say(line: str) -> None:
    """Print one line on standard error, without wrapping it."""
    _say(Console(stderr=True), line)


def _say(console: Console, line: str) -> None:
    """Print a line literally: untrusted text in it is not markup and cannot control a terminal."""
    text = printable(line, _LONGEST)
    console.print(text, highlight=False, soft_wrap=True, markup=False, emoji=False)


@contextmanager
def progress(title: str, total: int, unit: str, quiet: bool = False) -> Iterator[Advance]:
    """Show the progress of ``total`` units on standard error, unless ``quiet``."""
    console = Console(stderr=True, quiet=quiet)
    if console.is_terminal and not quiet:
        with _bar(console, title, total, unit) as advance:
            yield advance
    else:
        yield _Lines(console, title, _Pace(total, unit), unit)


class _Pace:
    """Number of units done, and the rate of the new ones."""

    def __init__(self, total: int, unit: str) -> None:
        self.total, self._unit = total, unit
        self.done = self._new = 0
        self._start = time.monotonic()

    def add(self, count: int, new: bool) -> None:
        self.done += count
        self._new += count * new

    def words(self) -> str:
        """Rate and remaining time as text, as far as they are known."""
        seconds, left = time.monotonic() - self._start, self.total - self.done
        if not self._new:
            return "" if left else "nothing to do"
        rate = self._new / max(seconds, 1e-9)
        measured = seconds >= _MEASURED_S or left > 0
        pace = f"{rate:.3g} {self._unit}/s, " if measured else ""
        return f"{pace}{spell_time(left / rate)} left"


@contextmanager
def _bar(console: Console, title: str, total: int, unit: str) -> Iterator[Advance]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}", markup=False),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console) as bar:
        yield _Bar(bar, title, _Pace(total, unit))


class _Bar:
    def __init__(self, bar: Progress, title: str, pace: _Pace) -> None:
        self._bar, self._pace = bar, pace
        self._task = bar.add_task(title, total=pace.total, pace="", note="")

    def __call__(self, count: int = 1, note: str = "") -> None:
        self._pace.add(count, new=True)
        self._bar.update(self._task, advance=count, pace=self._pace.words(), note=note)

    def skip(self, count: int) -> None:
        self._pace.add(count, new=False)
        self._bar.update(self._task, advance=count, pace=self._pace.words())

    def say(self, line: str) -> None:
        _say(self._bar.console, line)


class _Lines:
    def __init__(self, console: Console, title: str, pace: _Pace, unit: str) -> None:
        self._console, self._title, self._pace, self._unit = console, title, pace, unit
        self._said = time.monotonic()

    def __call__(self, count: int = 1, note: str = "") -> None:
        self._pace.add(count, new=True)
        self._tell(note)

    def skip(self, count: int) -> None:
        self._pace.add(count, new=False)
        if self._pace.done == self._pace.total:
            self._tell("")

    def _tell(self, note: str) -> None:
        """Print a line if the last one is old enough, or if all units are done."""
        now, pace = time.monotonic(), self._pace
        if now - self._said < PERIOD_S and pace.done != pace.total:
            return
        self._said = now
        parts = (f"{pace.done}/{pace.total} {self._unit}", pace.words(), note)
        self.say(f"{self._title}: {', '.join(part for part in parts if part)}")

    def say(self, line: str) -> None:
        _say(self._console, line)


def spell_time(seconds: float) -> str:
    """A duration as text, such as ``0.2 s``, ``45 s``, ``12 min``, ``2 h 5 min``, ``3 days 4 h``.

    Arguments:
        seconds: duration in seconds, finite and not negative.
    """
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 or not seconds else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    days, hours = minutes // 1440, minutes // 60
    if days >= 2:
        return f"{days} days {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


@contextmanager
def megabytes(title: str, total: int | None, there: int = 0) -> Iterator[Callable[[int], None]]:
    """Show the progress of ``total`` bytes. Yields a function that takes the number of new bytes.

    If the total is unknown, a line every 30 seconds shows the bytes so far and their rate.

    Arguments:
        title: name of the work.
        total: number of bytes, or None if it is unknown.
        there: number of bytes that an earlier run got.
    """
    if total is None:
        yield _Open(title)
        return
    with progress(title, max(1, -(-total // _MB)), "MB") as advance:
        advance.skip(there // _MB)
        yield _Closed(total, advance, there)


class _Closed:
    """Counter with a known total; a partial last MB counts as a whole one."""

    def __init__(self, total: int, advance: Callable[[int], None], there: int) -> None:
        self._total, self._advance = total, advance
        self._bytes, self._shown = there, there // _MB

    def __call__(self, count: int) -> None:
        self._bytes = min(self._bytes + count, self._total)
        whole = self._bytes == self._total
        megabytes = max(1, -(-self._bytes // _MB)) if whole else self._bytes // _MB
        if megabytes > self._shown:
            self._advance(megabytes - self._shown)
            self._shown = megabytes


class _Open:
    """Counter with an unknown total."""

    def __init__(self, title: str) -> None:
        self._title, self._bytes = title, 0
        self._start = self._said = time.monotonic()

    def __call__(self, count: int) -> None:
        self._bytes += count
        now = time.monotonic()
        if now - self._said >= PERIOD_S:
            self._said = now
            rate = self._bytes / _MB / (now - self._start)
            say(f"{self._title}: {self._bytes // _MB} MB, {rate:.3g} MB/s, total size unknown")
