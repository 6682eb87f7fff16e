"""Signals that stop a run, held back until it is in a state that can be resumed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class Stop:
    """Whether a signal asked the run to stop, and which."""

    def __init__(self) -> None:
        self.name = ""

    def __bool__(self) -> bool:
        return bool(self.name)


@contextmanager
def deferred_stop() -> Iterator[Stop]:
    """Note the first Ctrl-C, SIGTERM or SIGUSR1, to be answered between two steps or batches.

    In the middle of a step the weights and the statistics of BatchNorm belong to no step, so a
    checkpoint of them could not be resumed exactly. After Ctrl-C, the next signal acts at once.
    Clusters send SIGTERM or SIGUSR1, often more than once, before they take a machine away.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number: int, _: object) -> None:
        stop.name = "interrupted" if number == signal.SIGINT else signal.Signals(number).name
        if number == signal.SIGINT:
            restore()

    for number in _SIGNALS:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        restore()


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and SIGUSR1 as Ctrl-C, where nothing is left half done between two files."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, interrupt) for number in _SIGNALS[1:]}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
