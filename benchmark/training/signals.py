"""Signals that stop a run. They are deferred until the run can be resumed exactly."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from threedident.runtime.signals import REQUESTS, answered


class Stop:
    """A request to stop the run, which is true after a signal and holds its name."""

    def __init__(self) -> None:
        self.name = ""

    def __bool__(self) -> bool:
        return bool(self.name)


@contextmanager
def deferred_stop() -> Iterator[Stop]:
    """A context that records Ctrl-C, SIGTERM, SIGHUP or SIGUSR1 instead of stopping at once.

    The caller checks the returned object between two steps. In the middle of a step, weights and
    statistics of BatchNorm are in an intermediate state, and a checkpoint of them could not be
    resumed exactly. After a first Ctrl-C, the next signal stops at once. Clusters send SIGTERM or
    SIGUSR1, often more than once, before they take a machine away. A terminal that closes sends
    SIGHUP.
    """
    stop = Stop()

    def note(number: int) -> None:
        stop.name = "interrupted" if number == signal.SIGINT else signal.Signals(number).name
        if number == signal.SIGINT:
            restore()

    with answered((signal.SIGINT, *REQUESTS), note) as restore:
        yield stop
