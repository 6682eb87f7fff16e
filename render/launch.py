"""Runs worker processes over chunks of indices on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import IO, Any

from render.worker import spell_indices
from threedident.machine import processors
from threedident.storage import SplitFolder

CHUNK = 256
_THREADS_PER_WORKER = 2
_TRIES_WITHOUT_PROGRESS = 2


class WorkerError(ValueError):
    """A worker could not go on; the message is one line for the user."""


@dataclass(frozen=True)
class Crew:
    """How many workers run side by side, and with how many threads each."""

    workers: int
    threads: int


def crew(workers: int | None, device: str) -> Crew:
    """A crew that fills this machine's processors, or one worker that drives the GPU."""
    available = processors()
    if workers is None:
        workers = max(1, available // _THREADS_PER_WORKER) if device == "cpu" else 1
    return Crew(workers=workers, threads=max(1, available // workers))


def chunks(indices: list[int], workers: int) -> list[list[int]]:
    """Indices cut into chunks that keep every worker busy."""
    size = max(1, min(CHUNK, -(-len(indices) // workers)))
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def devices() -> list[str]:
    """What Cycles can compute on here, best first; asks a worker, since only workers load bpy."""
    with _Pool() as pool:
        for message in pool.talk([*_worker(), "devices"]):
            found: list[str] = message["devices"]
            return found
    raise WorkerError("devices: Blender listed none")


def _worker() -> list[str]:
    """The worker's command line, which no module of the current folder can shadow."""
    return [sys.executable, "-P", "-m", "render.worker", "--parent", str(os.getpid())]


def run_local(
    folder: SplitFolder, indices: list[int], crew: Crew, done: Callable[[], None]
) -> None:
    """Render rows of a planned split; ``done`` is called after every image.

    Raises:
        WorkerError: a worker could not go on. What is finished stays.
    """
    with _Pool() as pool, ThreadPoolExecutor(crew.workers) as threads:
        try:
            work = [
                threads.submit(_run_chunk, pool, folder, chunk, crew.threads, done)
                for chunk in chunks(indices, crew.workers)
            ]
            for finished in as_completed(work):
                finished.result()
        except BaseException:
            pool.stop()
            threads.shutdown(wait=True, cancel_futures=True)
            raise


def _run_chunk(
    pool: _Pool, folder: SplitFolder, chunk: list[int], threads: int, done: Callable[[], None]
) -> None:
    """Render one chunk, in fresh workers for as long as each gets further than the last."""
    left, failures = list(chunk), 0
    while left:
        before = len(left)
        command = [*_worker(), str(folder.path.resolve())]
        command += ["--indices", spell_indices(left), "--threads", str(threads)]
        try:
            for message in pool.talk(command):
                left.remove(message["done"])
                done()
        except _SilentDeathError as death:
            failures = failures + 1 if len(left) == before else 0
            if pool.stopped or failures == _TRIES_WITHOUT_PROGRESS:
                raise WorkerError(f"a worker {death} at image {left[0]}") from None


class _SilentDeathError(Exception):
    """A worker ended without a word."""


class _Pool:
    """The worker processes that run now."""

    def __init__(self) -> None:
        self.stopped = False
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()

    def __enter__(self) -> _Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Kill every worker and start no more."""
        with self._lock:
            self.stopped = True
            for process in self._running:
                process.kill()

    def talk(self, command: list[str]) -> Iterator[dict[str, Any]]:
        """The messages of a worker until it ends.

        Raises:
            WorkerError: it said why it gives up.
            _SilentDeathError: it ended abnormally and said nothing.
        """
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            process = self._start(command, errors)
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    message = json.loads(line)
                    if "error" in message:
                        raise WorkerError(message["error"])
                    yield message
            except BaseException:
                process.kill()
                raise
            finally:
                self._end(process)
            if process.returncode != 0:
                errors.seek(0)
                raise _SilentDeathError(_epitaph(process.returncode, errors.read()))

    def _start(self, command: list[str], errors: IO[str]) -> subprocess.Popen[str]:
        with self._lock:
            if self.stopped:
                raise WorkerError("stopped")
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
            self._running.add(process)
            return process

    def _end(self, process: subprocess.Popen[str]) -> None:
        if process.stdout is not None:
            process.stdout.close()
        process.wait()
        with self._lock:
            self._running.discard(process)


def _epitaph(status: int, errors: str) -> str:
    lines = errors.strip().splitlines()
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    return f"{how}{' (' + lines[-1] + ')' if lines else ''}"
