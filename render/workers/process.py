"""The worker process that renders a chunk. Every executor runs it through :func:`run`."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from pydantic import TypeAdapter, ValidationError

from render.workers.chunk import REPORT, Chunk, Report, spell_indices
from render.workers.leases import EXPIRY_S, acquire
from threedident.runtime.errors import explain, printable
from threedident.runtime.machine import die_with
from threedident.runtime.packages import module_command

_LAST_LINES, _LINE = 2, 100
_MEMORY_WORDS = ("MemoryError", "bad_alloc", "Malloc returns null", "out of memory")
_MEMORY_SIGNALS = (signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV)
_SAID = 200


class WorkerProcess:
    """A worker that renders a chunk in a process of its own, under the chunk's lease.

    Arguments:
        chunk: what to render.
        gpu: which of the GPUs to use, by number; None for all that are visible.
        patience_s: how long to wait for another holder of the lease.
    """

    def __init__(self, chunk: Chunk, gpu: int | None = None, patience_s: float = 0.0) -> None:
        self._chunk = chunk
        self._lease = acquire(chunk.leases, chunk.name, patience_s)
        self._leavings = ExitStack()
        self._leavings.callback(self._lease.release)
        try:
            self._process = self._start(gpu)
        except BaseException:
            self._leavings.close()
            raise

    def _start(self, gpu: int | None) -> subprocess.Popen[bytes]:
        chunk = self._chunk
        scratch = tempfile.TemporaryDirectory(dir=chunk.folder.scratch)
        self._errors = self._leavings.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        return subprocess.Popen(
            [*worker_command(), *self._arguments(gpu)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # takes the one message that comes
            stderr=self._errors,
            env={**os.environ, "TMPDIR": self._leavings.enter_context(scratch)},
            start_new_session=True,
            preexec_fn=partial(die_with, os.getpid()),
        )

    def _arguments(self, gpu: int | None) -> list[str]:
        chunk = self._chunk
        found = [str(chunk.split), "--indices", spell_indices(chunk.indices)]
        found += ["--threads", str(chunk.threads), "--lease", str(self._lease.path)]
        return found if gpu is None else [*found, "--gpu", str(gpu)]

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def report(self) -> Report:
        """Wait for its end and say how that came; to be called once."""
        try:
            assert self._process.stdout is not None
            with self._process.stdout as stdout:
                out = stdout.read()
            self._process.wait()
            self._errors.seek(0)
            return _report(self._process.returncode, out, self._errors.read())
        finally:  # an exception ends the worker too
            self._process.kill()
            self._process.wait()
            self._leavings.close()


def run(chunk: Chunk) -> Report:
    """Render a chunk from begin to end, on whatever machine this is.

    A lost machine may have held its lease, so wait for that to expire.
    """
    try:
        worker = WorkerProcess(chunk, patience_s=2 * EXPIRY_S)
    except ValueError as error:  # another worker is at it: a matter of this chunk alone
        return Report(death=f"a worker could not begin: {error}")
    except OSError as error:
        return Report(error=explain(error))
    return worker.report()


def worker_command() -> list[str]:
    """The start of the worker's command line."""
    return module_command("render.workers")


def _report(status: int, out: bytes, errors: bytes) -> Report:
    said = _last_message(out)
    if said is not None and (status == 0 or said.error is not None):
        return said
    return Report(death=_epitaph(status, errors.decode(errors="replace")))


def _last_message(out: bytes) -> Report | None:
    lines = out.strip().splitlines()
    try:
        return REPORT.validate_json(lines[-1]) if lines else None
    except ValidationError:
        return None


def _epitaph(status: int, errors: str) -> str:
    lines = [" ".join(line.split()) for line in errors.strip().splitlines()]
    said = " | ".join(line[:_LINE] for line in lines[-_LAST_LINES:] if line)
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    if any(word in errors for word in _MEMORY_WORDS):
        how = f"ran out of memory and {how}"
    elif -status in _MEMORY_SIGNALS:
        how += ", as happens when memory runs out"
    return f"a worker {how}" + (f"; its last lines: {said}" if said else "; it said nothing")


@dataclass(frozen=True)
class _Message:
    devices: dict[str, int] | None = None
    error: str | None = None


_MESSAGE = TypeAdapter(_Message)


def devices() -> dict[str, int]:
    """How many devices of each kind there are, best first, ``cpu`` last.

    Raises:
        ValueError: Blender cannot be loaded.
    """
    asked = subprocess.run(
        [*worker_command(), "devices"],
        capture_output=True,
        text=True,
        preexec_fn=partial(die_with, os.getpid()),
    )
    lines = asked.stdout.strip().splitlines()
    try:
        message = _MESSAGE.validate_json(lines[-1] if lines else "{}")
    except ValidationError:
        message = _Message()
    if message.devices is None:
        said = message.error or printable(asked.stderr[-_SAID:], _SAID)
        raise ValueError(f"--device: expected Blender to list its devices, found {said}")
    return message.devices
