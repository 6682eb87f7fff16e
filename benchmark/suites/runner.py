"""Execution of the rows of a suite, each in its own process, several in parallel."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from signal import SIGTERM, Signals

import torch

from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.suites.outcome import read_outcome
from benchmark.suites.report import say_outcome
from benchmark.suites.table import Row
from benchmark.training.evaluation import scored_latents
from benchmark.training.folder import RunFolder
from threedident.runtime.errors import Interrupted
from threedident.runtime.files import open_appending
from threedident.runtime.machine import die_with, processors
from threedident.runtime.packages import module_command
from threedident.runtime.progress import progress
from threedident.runtime.signals import deferred_stop

_POLL_S = 0.2


@dataclass(frozen=True)
class Planned:
    """A row to run.

    Arguments:
        row: row of the table.
        options: options of its run.
        folder: folder of its run.
    """

    row: Row
    options: Options
    folder: RunFolder

    def finished(self) -> bool:
        """True if the folder contains scores of the same configuration.

        Raises:
            ValueError: the row cannot be run, or the folder contains another configuration.
        """
        completed = complete(self.options)
        source = open_source(completed)
        config = resolve(completed, source)
        for seed in config.seeds:
            scored_latents(config, source, seed)
        self.folder.check(config, resume=True)
        return self.folder.scores.is_file()


class Runner:
    """Runner of rows, each in its own process, several in parallel.

    Arguments:
        device: value of ``--device``.
        jobs: largest number of rows in parallel.
        trained: folder of another suite, whose trained rows replace the training; None to train.
    """

    def __init__(self, device: str, jobs: int, trained: Path | None = None) -> None:
        self._device, self._jobs, self._trained = device, jobs, trained
        self._running: dict[int, tuple[Planned, subprocess.Popen[bytes]]] = {}

    def run(self, left: list[Planned], count: int) -> list[str]:
        """Run the rows ``left``, and return one line for each row that failed.

        Arguments:
            left: rows that are not finished; the list is emptied.
            count: number of all rows, for the progress bar.

        Raises:
            Interrupted: a signal stopped the suite. The running rows are saved.
        """
        failed = []
        with deferred_stop() as stop, progress("suite", count, "rows") as advance:
            advance.skip(count - len(left))
            with ExitStack() as stack:
                stack.callback(self._end)
                while left or self._running:
                    while left and len(self._running) < self._jobs and not stop:
                        self._start(left.pop(0))
                    time.sleep(_POLL_S)
                    for plan, process in self._ended():
                        if process.returncode:
                            failed.append(f"{plan.row.name}: {_why(plan, process.returncode)}")
                        elif outcome := read_outcome(plan.row, plan.folder):
                            advance.say(say_outcome(outcome))
                        advance()
                    if stop:
                        self._end()
                        raise Interrupted(
                            f"{stop.name}: every running row is saved; the same command with "
                            "--resume goes on from there"
                        )
        return failed

    def _start(self, plan: Planned) -> None:
        slot = next(number for number in range(self._jobs) if number not in self._running)
        environment = dict(os.environ)
        if self._jobs > 1:
            environment.setdefault("OMP_NUM_THREADS", str(max(1, processors() // self._jobs)))
            if torch.cuda.is_available() and self._device != "cpu":
                environment["CUDA_VISIBLE_DEVICES"] = _visible(slot)
        log = _log(plan)
        log.parent.mkdir(parents=True, exist_ok=True)
        line = [*module_command("threedident"), "benchmark", *plan.options.arguments()]
        if self._trained is not None:
            line += ["--trained", str(self._trained / plan.row.name)]
        with open_appending(log) as output:
            process = subprocess.Popen(
                [*line, "--device", self._device, "--resume"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,  # only this process forwards signals to it
                preexec_fn=partial(die_with, os.getpid()),
            )
        self._running[slot] = plan, process

    def _ended(self) -> list[tuple[Planned, subprocess.Popen[bytes]]]:
        slots = [slot for slot, (_, p) in self._running.items() if p.poll() is not None]
        return [self._running.pop(slot) for slot in slots]

    def _end(self) -> None:
        """Ask every running row to save and stop, and wait for them."""
        for _, process in self._running.values():
            process.send_signal(SIGTERM)
        for _, process in self._running.values():
            process.wait()
        self._running.clear()


def _visible(slot: int) -> str:
    """Name of the GPU for a slot, among the GPUs that this process can see."""
    own = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = own.split(",") if own else [str(i) for i in range(torch.cuda.device_count())]
    return names[slot % len(names)]


def _log(plan: Planned) -> Path:
    return plan.folder.path.parent / "logs" / f"{plan.row.name}.log"


def _why(plan: Planned, status: int) -> str:
    """The reason why a row failed: the signal that killed it, or its last message."""
    log = _log(plan)
    if status < 0:
        return f"killed by {Signals(-status).name}, see {log}"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("threedident: ") if lines else "it wrote no message"
