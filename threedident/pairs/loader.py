"""Loading of whole batches in loader processes."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from threedident.pairs.epochs import Clock, checked_epoch
from threedident.runtime.cards import Card
from threedident.runtime.machine import die_with

T = TypeVar("T")

_NOTICE_S = 0.5
_AHEAD = 2  # batches
_DIED = "DataLoader worker"


class WorkerDied(ValueError):  # noqa: N818
    """A loader process was killed."""


def load(
    fetch: Callable[[range], T], batches: Sequence[range], workers: int, *, pin: bool = False
) -> Iterator[T]:
    """Results of ``fetch`` for all batches in order, the same for any number of processes.

    Arguments:
        fetch: function that makes one batch; called in a loader process if there are any.
        batches: the numbers of the pairs of each batch.
        workers: number of loader processes; 0 to make batches in this process.
        pin: True to put tensors into page-locked memory, from which GPUs copy faster.

    Raises:
        ValueError: ``fetch`` raised it; the message is unchanged.
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
            time.sleep(_NOTICE_S)  # torch's signal handler may raise here, or else later anywhere
        raise _died("one died in the middle of a batch") from None
    except ValueError as error:  # torch puts a process's whole traceback into the message
        last = str(error).strip().splitlines()[-1]
        raise ValueError(last.removeprefix("ValueError: ")) from None


def ahead(
    fetch: Callable[[range], T], batches: Sequence[range], device: torch.device
) -> Iterator[T]:
    """Results of ``fetch`` for all batches in order, made by a thread before they are needed.

    So the CPU prepares the next batches while this thread hands work to the device.

    Arguments:
        fetch: function that makes one batch.
        batches: the numbers of the pairs of each batch.
        device: GPU that the thread works for.
    """
    start = partial(torch.cuda.set_device, device) if device.type == "cuda" else None
    with ThreadPoolExecutor(1, "batches", start) as pool:
        waiting = deque[Future[T]]()
        try:
            for numbers in batches:
                waiting.append(pool.submit(fetch, numbers))
                if len(waiting) > _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def named_deaths() -> Iterator[None]:
    """Context that turns torch's error for a killed loader process into :class:`WorkerDied`.

    Torch's signal handler raises that error at any point of this process, for example in a
    training step. Code that runs between two batches must therefore run in this context.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_death(error):
            raise
        raise _died(str(error).removeprefix(_DIED).strip().splitlines()[0]) from None


def is_death(error: Exception) -> bool:
    """True if an error reports a killed loader process."""
    return isinstance(error, WorkerDied) or str(error).startswith(_DIED)


def slices(
    batch_size: int,
    first: int,
    last: int,
    rank: int = 0,
    world_size: int = 1,
    *,
    epoch: int | None = None,
    drop_last: bool = True,
) -> list[range]:
    """The numbers of each batch from step ``first`` to ``last - 1``.

    Without epochs, step t takes the numbers from t B to (t + 1) B - 1. With epochs of L numbers,
    this holds within each epoch, and a new step begins with each epoch. Each rank takes an equal
    part of every step. The parts of all ranks together are the batch of a single rank.

    Arguments:
        batch_size: numbers B per step, over all ranks.
        first: the first step.
        last: the step after the last one.
        rank: number of this process among those that share each step.
        world_size: number of processes that share each step.
        epoch: numbers L per epoch; None for a sequence without end.
        drop_last: True to leave out the last batch of an epoch if it is smaller. False to keep
            it, which requires that the ranks can share it equally.

    Raises:
        ValueError: the steps or the rank are out of range, the ranks cannot share a batch, or an
            epoch is smaller than a batch.
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
    if epoch is None:
        starts = (step * batch_size + rank * share for step in range(first, last))
        return [range(start, start + share) for start in starts]
    found, each = [], steps_of(epoch, batch_size, drop_last)
    if not drop_last and epoch % batch_size % world_size:
        raise ValueError(
            f"drop_last: expected True, because the last batch of an epoch has "
            f"{epoch % batch_size} pairs, which {world_size} ranks cannot share, found False; "
            "leave the last batch out"
        )
    for step in range(first, last):
        number, place = divmod(step, each)
        begin = place * batch_size
        share = min(batch_size, epoch - begin) // world_size
        start = number * epoch + begin + rank * share
        found.append(range(start, start + share))
    return found


def steps_of(epoch: int, batch_size: int, drop_last: bool = True) -> int:
    """Number of steps per epoch.

    Arguments:
        epoch: numbers per epoch.
        batch_size: numbers per step, over all ranks.
        drop_last: True to leave out the last batch of an epoch if it is smaller.

    Raises:
        ValueError: an epoch is smaller than a batch.
    """
    if batch_size > epoch:
        raise ValueError(
            f"batch_size: expected at most {epoch}, the pairs of an epoch, found {batch_size}; "
            "lower it, or take more images or a larger length"
        )
    whole, rest = divmod(epoch, batch_size)
    return whole if drop_last or not rest else whole + 1


class Loader(Card, Generic[T]):
    """Iterable of batches. Each iteration is one epoch, and the next one continues after it.

    If ``steps`` is given, each iteration has that many steps instead, also across epochs.

    Arguments:
        load: function from the numbers of several batches to the batches.
        cut: function from a first step, and the step after the last, to the numbers of each batch.
        each: steps per epoch.
        clock: current epoch of the pairs. When it is set, the next iteration is that epoch.
        first: first step of the first iteration, counted from the start of the current epoch.
        steps: steps per iteration; None for one epoch.

    Raises:
        ValueError: ``first`` is negative, or ``steps`` is below 1.
    """

    def __init__(
        self,
        load: Callable[[list[range]], Iterator[T]],
        cut: Callable[[int, int], list[range]],
        each: int,
        clock: Clock,
        first: int,
        steps: int | None,
    ) -> None:
        if first < 0:
            raise ValueError(f"first: expected a step from 0 on, found {first}; count from 0")
        if steps is not None and steps < 1:
            raise ValueError(f"steps: expected at least 1, found {steps}; leave it out for epochs")
        self._load, self._cut, self._each, self._clock = load, cut, each, clock
        self._late, self._steps = first, steps  # the first iteration may skip steps of its epoch
        self._next, self._settings = clock.epoch * each + first, clock.settings

    @property
    def epoch(self) -> int:
        """The epoch in which the next iteration begins."""
        self._heed_clock()
        return self._next // self._each

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration.

        The first iteration still begins with the step ``first`` of that epoch.

        Raises:
            ValueError: the epoch is negative or too large.
        """
        self._next = checked_epoch(epoch) * self._each + self._late % self._each
        self._settings = self._clock.settings

    def __len__(self) -> int:
        """Number of steps of the next iteration."""
        if self._steps is not None:
            return self._steps
        self._heed_clock()
        return self._each - self._next % self._each

    def __iter__(self) -> Iterator[T]:
        self._heed_clock()
        first, last = self._next, self._next + len(self)
        self._next, self._late = last, 0
        return self._load(self._cut(first, last))

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        begun = self._next % self._each
        return {
            "steps": f"{len(self)} in the next iteration, {self._each} an epoch",
            "begins with": f"epoch {self.epoch}" + (f", step {begun}" if begun else ""),
        }

    def _heed_clock(self) -> None:
        if self._clock.settings != self._settings:
            self.set_epoch(self._clock.epoch)


class _Fetch(Dataset[T], Generic[T]):
    def __init__(self, fetch: Callable[[range], T]) -> None:
        self._fetch = fetch

    def __getitem__(self, items: range) -> T:
        return self._fetch(items)


def _as_it_is(batch: Any) -> Any:
    return batch


def _died(how: str) -> WorkerDied:
    return WorkerDied(
        f"loader: expected its processes to keep running, but {how}; if memory ran out, take "
        "fewer workers or smaller batches"
    )


def _start_process(parent: int, _: int) -> None:
    """Make a loader process ignore Ctrl-C and a closed terminal, and end with its parent."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    die_with(parent)
