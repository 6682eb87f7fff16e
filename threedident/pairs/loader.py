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

from threedident.pairs.epochs import Clock, checked_epoch
from threedident.runtime.cards import Card
from threedident.runtime.machine import die_with

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
    it does so within its epoch, and the next epoch begins with a step of its own. Of several
    ranks each takes its equal share of every step, so that together they hold what one alone
    would.

    Arguments:
        batch_size: numbers B of a step, over all ranks.
        first: the first step.
        last: the step after the last.
        rank: of this process among those that share each step.
        world_size: number of such processes.
        epoch: numbers L of an epoch; None for a sequence that never ends.
        drop_last: whether an epoch ends with its last whole batch, or with a smaller one, which
            the ranks must be able to share, too.

    Raises:
        ValueError: the steps or the rank are impossible, the ranks cannot share a batch, or an
            epoch holds no whole batch.
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
            f"drop_last: expected True where the last batch of an epoch has {epoch % batch_size} "
            f"pairs, which {world_size} ranks cannot share, found False; leave the last batch out"
        )
    for step in range(first, last):
        number, place = divmod(step, each)
        begin = place * batch_size
        share = min(batch_size, epoch - begin) // world_size
        start = number * epoch + begin + rank * share
        found.append(range(start, start + share))
    return found


def steps_of(epoch: int, batch_size: int, drop_last: bool = True) -> int:
    """How many steps an epoch has.

    Arguments:
        epoch: numbers of an epoch.
        batch_size: numbers of a step, over all ranks.
        drop_last: whether an epoch ends with its last whole batch, or with a smaller one.

    Raises:
        ValueError: there is no whole batch.
    """
    if batch_size > epoch:
        raise ValueError(
            f"batch_size: expected at most {epoch}, the pairs of an epoch, found {batch_size}; "
            "lower it, or take more images or a larger length"
        )
    whole, rest = divmod(epoch, batch_size)
    return whole if drop_last or not rest else whole + 1


class Loader(Card, Generic[T]):
    """Batches, epoch after epoch: each iteration is one epoch, and the next one goes on.

    An iteration with a given number of steps is that long instead, whatever epochs it touches.

    Arguments:
        load: makes batches of the numbers of each.
        cut: makes the numbers of each batch from a first step to that before a last.
        each: steps of an epoch.
        clock: of the pairs; when their epoch is set, the next iteration is that epoch.
        first: step with which the first iteration begins, counted from the start of the current
            epoch.
        steps: of each iteration; None for an epoch.

    Raises:
        ValueError: the first step is negative, or there are no steps.
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
        self._late, self._steps = first, steps  # the first iteration may begin late in its epoch
        self._next, self._settings = clock.epoch * each + first, clock.settings

    @property
    def epoch(self) -> int:
        """The epoch in which the next iteration begins."""
        self._heed_clock()
        return self._next // self._each

    def set_epoch(self, epoch: int) -> None:
        """Make the next iteration that epoch.

        Before the first iteration, it still begins with the step that was asked for.

        Raises:
            ValueError: the epoch is negative or too large.
        """
        self._next = checked_epoch(epoch) * self._each + self._late % self._each
        self._settings = self._clock.settings

    def __len__(self) -> int:
        """Steps of the next iteration."""
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
        f"loader: expected its processes to live, but {how}; where memory ran out, take fewer "
        "workers or smaller batches"
    )


def _start_process(parent: int, _: int) -> None:
    """Make a loader process leave Ctrl-C and a closed terminal to its parent, and end with it."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    die_with(parent)
