"""Signals that stop a run, held back until it is in a state that can be resumed."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from threedident.runtime.signals import REQUESTS, answered


class Stop:
    """Whether a signal asked the run to stop, and which."""

    def __init__(self) -> None:
        self.name = ""

    def __bool__(self) -> bool:
        return bool(self.name)


@contextmanager
def deferred_stop() -> Iterator[Stop]:
    """Note the first Ctrl-C, SIGTERM, SIGHUP or SIGUSR1, to be answered between two steps.

    In the middle of a step the weights and the statistics of BatchNorm belong to no step, so a
    checkpoint of them could not be resumed exactly. After Ctrl-C, the next signal acts at once.
    Clusters send SIGTERM or SIGUSR1, often more than once, before they take a machine away; a
    terminal that closes sends SIGHUP.
    """
    stop = Stop()

    def note(number: int) -> None:
        stop.name = "interrupted" if number == signal.SIGINT else signal.Signals(number).name
        if number == signal.SIGINT:
            restore()

    with answered((signal.SIGINT, *REQUESTS), note) as restore:
        yield stop
