"""Ctrl-C, held back until a run is in a state that can be resumed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deferred_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event, to be answered between two steps or batches.

    In the middle of a step the weights and the statistics of BatchNorm belong to no step, so a
    checkpoint of them could not be resumed exactly. A second Ctrl-C stops at once.
    """
    event = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
