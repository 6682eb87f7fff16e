"""Whole batches from loader processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Generic, TypeVar

from torch.utils.data import DataLoader, Dataset

from threedident.machine import die_with

T = TypeVar("T")

_NOTICE_S = 0.5
_DIED = "DataLoader worker"


class WorkerDied(ValueError):  # noqa: N818
    """A loader process was killed."""


def load(
    fetch: Callable[[range], T], batches: Sequence[range], workers: int, *, pin: bool = False
) -> Iterator[T]:
    """What ``fetch`` makes of every batch of numbers, in order, for any number of processes.

    Arguments:
        fetch: makes one batch; called in a loader process where there are any.
        batches: the numbers that each batch is made of.
        workers: loader processes; 0 to make batches here.
        pin: put tensors into page-locked memory, from which GPUs copy faster.

    Raises:
        ValueError: ``fetch`` raised it; the message is its own.
        WorkerDied: a loader process was killed.
    """
    loader = DataLoader(
        _Fetch(fetch),
        batch_size=None,
        sampler=batches,
        num_workers=workers,
        collate_fn=_as_it_is,
        pin_memory=pin,
        worker_init_fn=partial(_start_process, os.getpid()),
    )
    try:
        with named_deaths():
            yield from loader
    except WorkerDied:
        raise
    except (EOFError, ConnectionError):  # a process died in the middle of a batch
        with suppress(RuntimeError):
            time.sleep(_NOTICE_S)  # torch's signal handler says so here, or later anywhere
        raise _died("one died in the middle of a batch") from None
    except ValueError as error:  # from a process, torch hands over the whole traceback as text
        last = str(error).strip().splitlines()[-1]
        raise ValueError(last.removeprefix("ValueError: ")) from None


@contextmanager
def named_deaths() -> Iterator[None]:
    """Raise :class:`WorkerDied` for a killed loader process.

    Torch's signal handler says so wherever this process happens to be, such as in a training
    step, so whoever works between two batches works in here.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_death(error):
            raise
        raise _died(str(error).removeprefix(_DIED).strip().splitlines()[0]) from None


def is_death(error: Exception) -> bool:
    """Whether an error, wherever it shows, is that of a killed loader process."""
    return isinstance(error, WorkerDied) or str(error).startswith(_DIED)


def slices(
    batch_size: int, first: int, last: int, rank: int = 0, world_size: int = 1
) -> list[range]:
    """The numbers of each batch from step ``first`` to ``last - 1``.

    Step t takes the numbers from t B to (t + 1) B - 1. Of several ranks each takes its equal
    share of every step, so that together they hold what one alone would.

    Raises:
        ValueError: the steps or the rank are impossible, or the ranks cannot share a batch.
    """
    if not 0 <= first <= last:
        raise ValueError(f"first: expected a step from 0 to {last}, found {first}")
    if not 0 <= rank < world_size:
        raise ValueError(f"rank: expected 0 to {world_size - 1}, found {rank}")
    if batch_size < 1 or batch_size % world_size:
        raise ValueError(
            f"batch_size: expected a positive multiple of the {world_size} ranks, found "
            f"{batch_size}"
        )
    share = batch_size // world_size
    starts = (step * batch_size + rank * share for step in range(first, last))
    return [range(start, start + share) for start in starts]


class _Fetch(Dataset[T], Generic[T]):
    def __init__(self, fetch: Callable[[range], T]) -> None:
        self._fetch = fetch

    def __getitem__(self, items: range) -> T:
        return self._fetch(items)


def _as_it_is(batch: Any) -> Any:
    return batch


def _died(how: str) -> WorkerDied:
    return WorkerDied(
        f"loader: expected its processes to live, but {how}; where memory ran out, take fewer "
        "workers or smaller batches"
    )


def _start_process(parent: int, _: int) -> None:
    """Make a loader process leave Ctrl-C to its parent, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with(parent)
