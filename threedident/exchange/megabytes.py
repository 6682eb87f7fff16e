"""Progress of bytes, shown in MB."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from threedident.progress import PERIOD_S, progress, say

_MB = 10**6


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
