"""What runs workers: the interface that all executors have, and the processes of this machine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from render.workers.chunk import Chunk, Report
from render.workers.process import WorkerProcess
from threedident.runtime.machine import processors

_THREADS_PER_WORKER = 2


class Job(Protocol):
    """A chunk that was handed over."""

    def done(self) -> bool:
        """Whether it has come to an end."""
        ...

    def report(self) -> Report:
        """How it ended; to be called once."""
        ...


class Executor(ABC):
    """Runs chunks somewhere; a context that leaves nothing running behind.

    Attributes:
        workers: how many chunks run side by side, as far as that is known.
        threads: processor threads of each.
        width: how many chunks to hand over at a time; None for all.
        poll_s: how often to ask how they are.
    """

    workers: int
    threads: int
    width: int | None = None
    poll_s: float

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def submit(self, chunks: Sequence[Chunk]) -> Sequence[Job]:
        """Hand chunks over."""

    @abstractmethod
    def stop(self) -> None:
        """End all that still runs."""


@dataclass(frozen=True)
class Crew:
    """How many workers run side by side, with how many threads, and whether each has a GPU."""

    workers: int
    threads: int
    gpus: int = 0


def crew(workers: int | None, gpus: int, threads: int | None = None) -> Crew:
    """A crew that fills this machine's processors, or one worker for each of its GPUs."""
    available = processors()
    if workers is None:
        workers = gpus or max(1, available // (threads or _THREADS_PER_WORKER))
    return Crew(workers=workers, threads=threads or max(1, available // workers), gpus=gpus)


class Local(Executor):
    """Processes of this machine."""

    poll_s = 0.02

    def __init__(self, crew: Crew) -> None:
        self.workers, self.width = crew.workers, crew.workers
        self.threads = crew.threads
        self._gpus = crew.gpus
        self._jobs: list[_LocalJob] = []

    def stop(self) -> None:
        """Kill every worker."""
        for job in self._jobs:
            job.cancel()
        for job in self._jobs:
            job.report()

    def submit(self, chunks: Sequence[Chunk]) -> list[_LocalJob]:
        """Start a worker for each chunk."""
        return [self._start(chunk) for chunk in chunks]

    def _start(self, chunk: Chunk) -> _LocalJob:
        self._jobs = [job for job in self._jobs if not job.reported]
        busy = [job.gpu for job in self._jobs]
        gpu = min(range(self._gpus), key=busy.count) if self._gpus else None
        job = _LocalJob(WorkerProcess(chunk, gpu), gpu)
        self._jobs.append(job)
        return job


class _LocalJob:
    def __init__(self, worker: WorkerProcess, gpu: int | None) -> None:
        self._worker, self.gpu, self.reported = worker, gpu, False

    def done(self) -> bool:
        return not self._worker.running

    def report(self) -> Report:
        if self.reported:
            return Report()
        self.reported = True
        return self._worker.report()

    def cancel(self) -> None:
        if not self.reported:
            self._worker.kill()
