"""Gives chunks to an executor, follows the journals, and gives lost chunks out again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from render.chunk import Chunk, Report, leases_of
from render.executors import Executor, Job
from render.journal import Record, Tail
from render.leases import EXPIRY_S, holders
from threedident.storage import SplitFolder

CHUNK = 256
_MOST_CHUNKS = 1000  # what a queue takes in one array, as a rule
_TRIES_WITHOUT_PROGRESS = 2
_LOSSES_IN_A_ROW = 3


class WorkerError(ValueError):
    """Workers could not go on; the message is one line for the user."""


@dataclass(frozen=True)
class Watcher:
    """Whom to tell what happens.

    Arguments:
        finished: called with every record.
        failed: called with one line whenever a worker died.
        settled: called when a chunk is finished.
    """

    finished: Callable[[Record], None]
    failed: Callable[[str], None]
    settled: Callable[[], None]


@dataclass
class _Task:
    chunk: Chunk
    job: Job | None = None
    failures: int = 0
    left: set[int] = field(default_factory=set)
    left_before: int = 0
    last_held: float | None = None


def cut(folder: SplitFolder, indices: list[int], executor: Executor) -> list[Chunk]:
    """Rows cut into chunks that keep every worker busy."""
    least = -(-len(indices) // _MOST_CHUNKS)
    size = max(1, least, min(CHUNK, -(-len(indices) // executor.workers)))
    return [
        Chunk(folder.path.resolve(), tuple(indices[start : start + size]), executor.threads)
        for start in range(0, len(indices), size)
    ]


def dispatch(
    folder: SplitFolder, indices: list[int], executor: Executor, watcher: Watcher
) -> list[Report]:
    """Render rows of a planned split.

    A worker that dies costs its rows in flight: its chunk is given out again for as long as
    that brings it further. A chunk that no worker survives is left out, and the others go on.

    Returns:
        The reports of all workers that came to an end of their own.

    Raises:
        WorkerError: rows are left. What is finished stays.
    """
    return _Dispatch(folder, indices, executor, watcher).run()


class _Dispatch:
    def __init__(
        self, folder: SplitFolder, indices: list[int], executor: Executor, watcher: Watcher
    ) -> None:
        self._leases, self._executor, self._watcher = leases_of(folder), executor, watcher
        self._tail = Tail(folder)
        tasks = [_Task(chunk) for chunk in cut(folder, indices, executor)]
        self._waiting, self._running = deque(tasks), list[_Task]()
        self._owner = {index: task for task in tasks for index in task.chunk.indices}
        for task in tasks:
            task.left = set(task.chunk.indices)
        self._reports, self._losses, self._row = list[Report](), list[str](), 0
        self._looked = time.monotonic()

    def run(self) -> list[Report]:
        with self._executor:
            while self._waiting or self._running:
                self._submit()
                time.sleep(self._executor.poll_s)
                self._follow()
                for task in [task for task in self._running if self._ended(task)]:
                    self._settle(task)
        if self._losses:
            others = f" (and {len(self._losses) - 1} more)" if len(self._losses) > 1 else ""
            raise WorkerError(f"{self._losses[0]}{others}")
        return self._reports

    def _submit(self) -> None:
        room = (self._executor.width or len(self._waiting)) - len(self._running)
        tasks = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
        if tasks:
            jobs = self._executor.submit([task.chunk for task in tasks])
            for task, job in zip(tasks, jobs, strict=True):
                task.job, task.left_before, task.last_held = job, len(task.left), None
            self._running += tasks

    def _follow(self) -> None:
        for record in self._tail.read():
            owner = self._owner.get(record.index)
            if owner is not None and record.index in owner.left:
                owner.left.discard(record.index)
                self._row = 0
                self._watcher.finished(record)

    def _ended(self, task: _Task) -> bool:
        assert task.job is not None
        if task.job.done():
            return True
        if time.monotonic() - self._looked > EXPIRY_S / 4:
            self._look()
        lost = task.last_held is not None and time.monotonic() - task.last_held > EXPIRY_S
        if lost:
            task.job.cancel()
        return lost

    def _look(self) -> None:
        """Note whose leases live: a queue may never tell that it lost a node."""
        self._looked = time.monotonic()
        held = holders(self._leases)
        for task in self._running:
            if task.chunk.name in held:
                task.last_held = self._looked

    def _settle(self, task: _Task) -> None:
        assert task.job is not None
        self._running.remove(task)
        report = task.job.report() if task.job.done() else Report(death="a worker was lost")
        self._follow()
        if report.error is not None:
            raise WorkerError(report.error)
        if report.death is None:
            self._reports.append(report)
            self._watcher.settled()
        else:
            self._bury(task, report.death)

    def _bury(self, task: _Task, death: str) -> None:
        line = f"{death}; at image {min(task.left)}" if task.left else death
        task.failures = task.failures + 1 if len(task.left) == task.left_before else 0
        if task.failures < _TRIES_WITHOUT_PROGRESS:
            self._watcher.failed(f"{line}; its chunk is given out again")
            self._waiting.append(task)
            return
        self._watcher.failed(f"{line}; its chunk is left out")
        self._losses.append(line)
        self._row += 1
        if self._row == _LOSSES_IN_A_ROW:
            raise WorkerError(f"{line}; {self._row} chunks in a row had no more luck")
