"""The worker process that renders a chunk, for all executors."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
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
    """A child process that renders a chunk, while this process holds the chunk's lease.

    Arguments:
        chunk: the chunk to render.
        gpu: number of the GPU to use; None for all visible ones.
        patience_s: seconds to wait if another process holds the lease.

    Raises:
        ValueError: another process holds the lease.
        OSError: the process cannot be started.
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
            stdout=subprocess.PIPE,  # one message, which fits into the pipe's buffer
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
        """True while the process runs."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def report(self) -> Report:
        """Wait until the process ends, and return its report. Call this only once."""
        try:
            assert self._process.stdout is not None
            with self._process.stdout as stdout:
                out = stdout.read()
            self._process.wait()
            self._errors.seek(0)
            return _report(self._process.returncode, out, self._errors.read())
        finally:  # after an exception, the worker may still run
            self._process.kill()
            self._process.wait()
            self._leavings.close()


def run(chunk: Chunk) -> Report:
    """Render a chunk on this machine, and return the report.

    A machine that was lost may have held the lease, so this waits until the lease expires.
    """
    try:
        worker = WorkerProcess(chunk, patience_s=2 * EXPIRY_S)
    except ValueError as error:  # another worker renders this chunk, which concerns no others
        return Report(death=f"a worker could not begin: {error}")
    except OSError as error:
        return Report(error=explain(error))
    return worker.report()


def worker_command() -> list[str]:
    """The first words of the worker's command line."""
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
    return f"a worker {how}" + (f"; its last lines: {said}" if said else "; it printed nothing")


@dataclass(frozen=True)
class Trial:
    """Devices and speed of Blender on this machine.

    Arguments:
        devices: number of devices of each kind, best kind first, ``cpu`` last.
        rates: images per second of a few frames, by their description.
    """

    devices: dict[str, int]
    rates: dict[str, float] = field(default_factory=dict)


class _Failure(Exception):  # noqa: N818
    """Blender did not answer; the text says what it said."""


@dataclass(frozen=True)
class _Error:
    error: str


_MESSAGE = TypeAdapter[Trial | _Error](Trial | _Error)


def devices() -> dict[str, int]:
    """Number of devices of each kind on this machine, best kind first, ``cpu`` last.

    Raises:
        ValueError: Blender cannot be loaded.
    """
    try:
        return _ask("devices").devices
    except _Failure as failure:
        raise ValueError(
            f"--device: expected Blender to list its devices, found {failure}"
        ) from None


def trial() -> Trial:
    """The devices of this machine, and the speed of a few frames.

    Raises:
        ValueError: Blender cannot be loaded, or cannot draw.
    """
    try:
        return _ask("trial")
    except _Failure as failure:
        raise ValueError(f"bpy: expected Blender to draw a few images, found {failure}") from None


def _ask(word: str) -> Trial:
    """The answer of a worker that renders no chunk."""
    asked = subprocess.run(
        [*worker_command(), word],
        capture_output=True,
        text=True,
        preexec_fn=partial(die_with, os.getpid()),
    )
    lines = asked.stdout.strip().splitlines()
    try:
        message = _MESSAGE.validate_json(lines[-1] if lines else "{}")
    except ValidationError:
        message = _Error("")
    if isinstance(message, _Error):
        raise _Failure(message.error or printable(asked.stderr[-_SAID:], _SAID))
    return message
