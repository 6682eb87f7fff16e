"""Signals that ask a command to end. They act like Ctrl-C: processes end, files are cleaned up."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

REQUESTS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)  # in addition to Ctrl-C
Answer = Callable[[int], None]


@contextmanager
def interruptible() -> Iterator[None]:
    """Treat the first SIGTERM, SIGHUP or SIGUSR1 like Ctrl-C, and ignore the same one later."""

    def interrupt(number: int) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    with answered(REQUESTS, interrupt):
        yield


@contextmanager
def answered(numbers: Sequence[signal.Signals], answer: Answer) -> Iterator[Callable[[], None]]:
    """Handle signals in the main thread. Yields a function that restores the former handlers.

    Ignored signals stay ignored, such as SIGHUP under ``nohup``. If the terminal has closed when
    a signal arrives, later output is discarded, because writing to the terminal would fail.

    Arguments:
        numbers: the signals to handle.
        answer: called with the number of each signal that arrives.
    """
    before: dict[signal.Signals, Any] = {}
    terminals = [descriptor for descriptor in (1, 2) if os.isatty(descriptor)]

    def heard(number: int, _: object) -> None:
        for descriptor in terminals:
            if not os.isatty(descriptor):  # the terminal has closed
                _send_nowhere(descriptor)
        answer(number)

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    if threading.current_thread() is threading.main_thread():
        current = {number: signal.getsignal(number) for number in numbers}
        before = {n: h for n, h in current.items() if h not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, heard)
    try:
        yield restore
    finally:
        restore()


def _send_nowhere(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


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
