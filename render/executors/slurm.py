"""Executor for a SLURM queue whose nodes share the data set's folder. submitit is an extra.

References:
    submitit, https://github.com/facebookincubator/submitit
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from render.executors.executor import Crew, Executor
from render.workers.chunk import Chunk, Report
from render.workers.process import run
from threedident.runtime.packages import call, require_extra

_COMMANDS = ("sbatch", "squeue", "scancel", "scontrol")


@dataclass(frozen=True, kw_only=True)
class Queue:
    """Settings of jobs in a SLURM queue.

    Arguments:
        partition: partition of the jobs; None for the queue's default.
        minutes: time limit of one chunk.
        array: maximum number of chunks that run at the same time.
        requeue: True to put chunks back into the queue if they were preempted or ran out of time.
        cluster: ``slurm``, or ``local`` for submitit's replacement on this machine.
    """

    partition: str | None = None
    minutes: int = 240
    array: int = 64
    requeue: bool = True
    cluster: Literal["slurm", "local"] = "slurm"


class Call:
    """The function that submitit calls in a job. A preempted chunk later continues."""

    def __reduce__(self) -> tuple[Any, ...]:
        return call, ("render.executors.slurm:Call",)

    def __call__(self, chunk: Chunk) -> Report:
        """Render the chunk."""
        return run(chunk)

    def checkpoint(self, chunk: Chunk) -> Any:
        """The job to put into the queue when this one must stop."""
        return import_module("submitit.helpers").DelayedSubmission(self, chunk)


class Slurm(Executor):
    """Executor that runs workers as jobs of a SLURM queue, in one array for all chunks.

    Arguments:
        crew: threads and GPUs of a worker.
        queue: settings of the jobs.
        folder: folder for submitit's files, on a disk that all nodes share.
    """

    @staticmethod
    def check(queue: Queue) -> None:
        """Check that submitit and SLURM's commands are installed.

        Raises:
            ValueError: one of them is missing.
        """
        require_extra("--executor slurm", "slurm", "submitit")
        if queue.cluster == "slurm":
            _require_commands()

    def __init__(self, crew: Crew, queue: Queue, folder: Path) -> None:
        submitit: Any = import_module("submitit")
        local = queue.cluster == "local"
        self.threads = crew.threads
        self.workers = crew.workers if local else queue.array
        self.width = crew.workers if local else None
        self.poll_s = 0.1 if local else 2.0
        self._executor = submitit.AutoExecutor(
            folder, cluster=queue.cluster, slurm_max_num_timeout=1000 if queue.requeue else 0
        )
        self._executor.update_parameters(
            name="threedident",
            timeout_min=queue.minutes,
            cpus_per_task=crew.threads,
            gpus_per_node=1 if crew.gpus else None,
            slurm_partition=queue.partition,
            slurm_array_parallelism=queue.array,
            slurm_additional_parameters={"requeue" if queue.requeue else "no-requeue": True},
        )
        self._failure = submitit.core.utils.FailedJobError
        self._census = None if local else _Census()
        if self._census is not None:  # cancel jobs left by an earlier run that was killed
            former = folder.rglob("*_submitted.pkl")
            self._census.cancel([path.name.removesuffix("_submitted.pkl") for path in former])
        self._jobs: list[Any] = []

    def stop(self) -> None:
        """Cancel every job that has not ended."""
        if self._census is None:
            for job in self._jobs:
                job.cancel(check=False)
        else:  # also ended jobs that SLURM itself put back into the queue
            self._census.cancel([job.job_id for job in self._jobs])
        self._jobs = []

    def submit(self, chunks: Sequence[Chunk]) -> list[_SlurmJob]:
        """Put chunks into the queue."""
        try:
            jobs = self._executor.map_array(Call(), chunks)
        except self._failure as error:
            raise ValueError(
                f"--executor slurm: expected the queue to accept jobs, found {_last_line(error)}; "
                "check --slurm-partition and --slurm-minutes"
            ) from None
        self._jobs += jobs
        return [_SlurmJob(job, self._census) for job in jobs]


class _SlurmJob:
    def __init__(self, job: Any, census: _Census | None) -> None:
        self._job, self._census = job, census

    def done(self) -> bool:
        if self._job.paths.result_pickle.exists():
            return True
        if self._census is None:
            return bool(self._job.done())
        return self._census.gone(self._job.job_id)

    def report(self) -> Report:
        job = self._job
        if not job.paths.result_pickle.exists():
            said = _last_line(job.stderr() or "it printed nothing")
            return Report(death=f"job {job.job_id} was lost; its last line: {said}")
        try:
            report: Report = job.result()
            return report
        except Exception as error:  # submitit wraps errors of a job in its own exceptions
            return Report(death=f"job {job.job_id} failed: {_last_line(error)}")


class _Census:
    """The jobs in the queue, found by one command for all of them, at most every 5 s.

    submitit itself uses SLURM's accounting, which not every cluster has.
    """

    _PERIOD_S = 5.0
    _MISSES = 4  # after so many answers without a job, it counts as gone

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._asked, self._answers = 0.0, 0
        self._missed: dict[str, int] = {}

    def gone(self, job: str) -> bool:
        """True if enough answers of the queue did not contain a job."""
        if time.monotonic() - self._asked > self._PERIOD_S:
            self._ask()
        if job in self._known:
            self._missed.pop(job, None)
            return False
        return self._answers - self._missed.setdefault(job, self._answers) >= self._MISSES

    def cancel(self, jobs: Sequence[str]) -> None:
        """Cancel those of the jobs that are in the queue."""
        self._ask()
        known = sorted(self._known.intersection(jobs))
        if known:
            subprocess.run(["scancel", *known], capture_output=True, check=False)

    def _ask(self) -> None:
        line = ["squeue", "--noheader", "--array", "--me", "--format=%i"]
        asked = subprocess.run(line, capture_output=True, text=True, check=False)
        self._asked = time.monotonic()
        if asked.returncode == 0:  # a busy queue may not answer
            self._known, self._answers = set(asked.stdout.split()), self._answers + 1


def _require_commands() -> None:
    missing = [command for command in _COMMANDS if shutil.which(command) is None]
    if missing:
        raise ValueError(
            f"--executor slurm: expected SLURM's command {missing[0]} on PATH, found none; run "
            "this where SLURM is installed, or choose --executor local"
        )


def _last_line(words: object) -> str:
    lines = [" ".join(line.split()) for line in str(words).strip().splitlines()]
    return next((line for line in reversed(lines) if line), type(words).__name__)
