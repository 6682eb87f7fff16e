"""The interface of all executors, and the executor for processes on this machine."""

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
    """A submitted chunk."""

    def done(self) -> bool:
        """True if the job has ended."""
        ...

    def report(self) -> Report:
        """Report of an ended job. Call this only once."""
        ...


class Executor(ABC):
    """Base class of executors, which run chunks. As a context, it ends all workers on exit.

    Attributes:
        workers: number of chunks that run at the same time, as far as it is known.
        threads: processor threads per worker.
        width: maximum number of chunks submitted at the same time; None for no limit.
        poll_s: seconds between two checks of the running jobs.
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
        """Start or queue chunks, and return one job for each."""

    @abstractmethod
    def stop(self) -> None:
        """End all jobs that still run."""


@dataclass(frozen=True)
class Crew:
    """Number of parallel workers, threads per worker, and number of GPUs (0 for none)."""

    workers: int
    threads: int
    gpus: int = 0


def crew(workers: int | None, gpus: int, threads: int | None = None) -> Crew:
    """The number of workers and threads that uses this machine fully.

    Arguments:
        workers: number of workers; None for one per GPU or, without GPUs, as many as fit.
        gpus: number of GPUs to use.
        threads: threads per worker; None to share all processors equally.
    """
    available = processors()
    if workers is None:
        workers = gpus or max(1, available // (threads or _THREADS_PER_WORKER))
    return Crew(workers=workers, threads=threads or max(1, available // workers), gpus=gpus)


class Local(Executor):
    """Executor that runs workers as processes on this machine."""

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
