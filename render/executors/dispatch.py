"""Dispatch of chunks to an executor, with progress from the journals, and retries."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from render.executors.executor import Executor, Job
from render.workers.chunk import Chunk, Report
from render.workers.journal import RowRecord, Tail
from threedident.storage.folder import SplitFolder

CHUNK = 256
_MOST_CHUNKS = 1000  # usual limit of a queue for the jobs of one array
_TRIES_WITHOUT_PROGRESS = 5
_LOSSES_IN_A_ROW = 3
_FOLLOW_S = 0.25
_LAG_S = 20.0  # maximum delay until a journal appears on a shared file system


class WorkerError(ValueError):
    """Workers failed; the message is one line for the user."""


@dataclass(frozen=True)
class Watcher:
    """Callbacks of a dispatch.

    Arguments:
        finished: called with the record of every finished row.
        failed: called with one line whenever a worker died.
        settled: called when a chunk is finished.
        check: called regularly; raises if the run must stop.
    """

    finished: Callable[[RowRecord], None]
    failed: Callable[[str], None]
    settled: Callable[[], None]
    check: Callable[[], None]


@dataclass
class _Task:
    chunk: Chunk
    left: set[int]
    left_before: int = 0
    failures: int = 0
    job: Job | None = None
    report: Report | None = None
    ended: float = 0.0


def cut(folder: SplitFolder, indices: list[int], executor: Executor) -> list[Chunk]:
    """Chunks of the rows, small enough that every worker gets some."""
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

    If a worker dies, only its current row is lost. Its chunk is started again, until five
    attempts in a row have finished no row. The chunk is then left out, and the others continue.

    Returns:
        Reports of all workers that finished their chunk.

    Raises:
        WorkerError: some rows could not be rendered. Finished rows are kept.
    """
    return _Dispatch(folder, indices, executor, watcher).run()


class _Dispatch:
    def __init__(
        self, folder: SplitFolder, indices: list[int], executor: Executor, watcher: Watcher
    ) -> None:
        self._executor, self._watcher = executor, watcher
        self._tail = Tail(folder)
        tasks = [_Task(chunk, set(chunk.indices)) for chunk in cut(folder, indices, executor)]
        self._waiting, self._running = deque(tasks), list[_Task]()
        self._owner = {index: task for task in tasks for index in task.chunk.indices}
        self._reports, self._losses, self._row = list[Report](), list[str](), 0
        self._followed = time.monotonic()

    def run(self) -> list[Report]:
        with self._executor:
            while self._waiting or self._running:
                self._submit()
                time.sleep(self._executor.poll_s)
                if time.monotonic() - self._followed > _FOLLOW_S:
                    self._watcher.check()
                    self._follow()
                for task in [task for task in self._running if self._ended(task)]:
                    self._settle(task)
        if self._losses:
            others = f" (and {len(self._losses) - 1} more)" if len(self._losses) > 1 else ""
            raise WorkerError(f"{self._losses[0]}{others}")
        return self._reports

    def _submit(self) -> None:
        width, count = self._executor.width, len(self._waiting)
        if width is not None:
            count = min(count, width - len(self._running))
        tasks = [self._waiting.popleft() for _ in range(count)]
        if tasks:
            jobs = self._executor.submit([task.chunk for task in tasks])
            for task, job in zip(tasks, jobs, strict=True):
                task.job, task.left_before, task.report = job, len(task.left), None
            self._running += tasks

    def _follow(self) -> None:
        self._followed = time.monotonic()
        for record in self._tail.read():
            owner = self._owner.get(record.index)
            if owner is not None and record.index in owner.left:
                owner.left.discard(record.index)
                self._row = 0
                self._watcher.finished(record)

    def _ended(self, task: _Task) -> bool:
        """True if a task is over and, if it succeeded, its journal is complete or overdue."""
        assert task.job is not None
        if task.report is None and task.job.done():
            task.report, task.ended = task.job.report(), time.monotonic()
        if task.report is None:
            return False
        went_well = task.report.death is None and task.report.error is None
        return not (went_well and task.left) or time.monotonic() - task.ended > _LAG_S

    def _settle(self, task: _Task) -> None:
        assert task.report is not None
        self._running.remove(task)
        self._follow()
        report = task.report
        if report.error is not None:
            raise WorkerError(report.error)
        if task.left:
            self._bury(task, report.death or "a worker ended before its chunk was finished")
        else:
            self._reports.append(report)
            self._watcher.settled()

    def _bury(self, task: _Task, death: str) -> None:
        line = f"{death}; at image {min(task.left)}"
        task.failures = task.failures + 1 if len(task.left) == task.left_before else 0
        if task.failures < _TRIES_WITHOUT_PROGRESS:
            self._watcher.failed(f"{line}; its chunk is started again")
            self._waiting.append(task)
            return
        self._watcher.failed(f"{line}; its chunk is left out")
        self._losses.append(line)
        self._row += 1
        if self._row == _LOSSES_IN_A_ROW:
            raise WorkerError(f"{line}; {self._row} chunks in a row failed")
