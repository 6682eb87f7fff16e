"""Progress of long work: a bar on a terminal, elsewhere a line every 30 seconds."""

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
_MEASURED_S = 0.5  # what is over sooner has no rate worth telling
_MB = 10**6


class Advance(Protocol):
    """Reports ``count`` more units done, with an optional note to show beside them."""

    def __call__(self, count: int = 1, note: str = "") -> None:
        """Report progress."""
        ...

    def skip(self, count: int) -> None:
        """Report units that an earlier run had done; they take no part in the rate."""
        ...

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        ...


def say(line: str) -> None:
    """Print a line on standard error, whole."""
    _say(Console(stderr=True), line)


def _say(console: Console, line: str) -> None:
    """Print a line as it is: what strangers wrote in it is neither markup nor for terminals."""
    text = printable(line, _LONGEST)
    console.print(text, highlight=False, soft_wrap=True, markup=False, emoji=False)


@contextmanager
def progress(title: str, total: int, unit: str, quiet: bool = False) -> Iterator[Advance]:
    """Show the progress of ``total`` units on standard error, where not ``quiet``."""
    console = Console(stderr=True, quiet=quiet)
    if console.is_terminal and not quiet:
        with _bar(console, title, total, unit) as advance:
            yield advance
    else:
        yield _Lines(console, title, _Pace(total, unit), unit)


class _Pace:
    """Units done of a total, and how fast the new ones are made."""

    def __init__(self, total: int, unit: str) -> None:
        self.total, self._unit = total, unit
        self.done = self._new = 0
        self._start = time.monotonic()

    def add(self, count: int, new: bool) -> None:
        self.done += count
        self._new += count * new

    def words(self) -> str:
        """Rate and time left, as far as they are known."""
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
        """A line, where one is due."""
        now, pace = time.monotonic(), self._pace
        if now - self._said < PERIOD_S and pace.done != pace.total:
            return
        self._said = now
        parts = (f"{pace.done}/{pace.total} {self._unit}", pace.words(), note)
        self.say(f"{self._title}: {', '.join(part for part in parts if part)}")

    def say(self, line: str) -> None:
        _say(self._console, line)


def spell_time(seconds: float) -> str:
    """A duration for people: ``0.2 s``, ``45 s``, ``12 min``, ``2 h 5 min`` or ``3 days 4 h``.

    Arguments:
        seconds: not negative, finite.
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
    """Show the progress of ``total`` bytes; yields what is to be called with each further count.

    Without a total there is neither a share nor a time left: a line now and then says how much
    it has been.

    Arguments:
        title: of the work.
        total: bytes; None where nobody knows.
        there: how many of them an earlier run had got.
    """
    if total is None:
        yield _Open(title)
        return
    with progress(title, max(1, -(-total // _MB)), "MB") as advance:
        advance.skip(there // _MB)
        yield _Closed(total, advance, there)


class _Closed:
    """Counts up to a total; what remains of the last MB counts as a whole one."""

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
    """Counts without an end."""

    def __init__(self, title: str) -> None:
        self._title, self._bytes = title, 0
        self._start = self._said = time.monotonic()

    def __call__(self, count: int) -> None:
        self._bytes += count
        now = time.monotonic()
        if now - self._said >= PERIOD_S:
            self._said = now
            rate = self._bytes / _MB / (now - self._start)
            say(f"{self._title}: {self._bytes // _MB} MB, {rate:.3g} MB/s, no end announced")
