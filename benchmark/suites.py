"""A table of the paper, run row by row: stopped and resumed at will, rows side by side.

Every row is a run of its own, ``threedident benchmark ... --resume`` in a process of its own, so
a row can be run again, looked at, or handed in alone.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from signal import SIGTERM, Signals

import torch

from benchmark.interrupts import deferred_stop
from benchmark.options import Options, complete, open_source, resolve
from benchmark.paper_tables import TABLES
from benchmark.run import RunFolder
from benchmark.suite_report import read_outcome, say_outcome, write_suite
from benchmark.tables import Row, Table
from threedident.errors import Interrupted
from threedident.locking import locked
from threedident.machine import die_with, processors
from threedident.progress import progress, say
from threedident.storage import is_leftover

SUITES = tuple(TABLES)
SCALES = ("paper", "small")
_POLL_S = 0.2


@dataclass(frozen=True)
class _Planned:
    """A row to run.

    Arguments:
        row: of the table.
        options: all that it asks for.
        folder: of its run.
    """

    row: Row
    options: Options
    folder: RunFolder

    def finished(self) -> bool:
        """Whether its scores are there, of the same configuration.

        Raises:
            ValueError: there is a run of another configuration.
        """
        completed = complete(self.options)
        self.folder.check(resolve(completed, open_source(completed)), resume=True)
        return self.folder.scores.is_file()


def run_suite(
    name: str,
    scale: str,
    rows: str | None,
    asked: Options,
    device: str,
    jobs: int | None,
    resume: bool,
) -> None:
    """Run a table, and write it beside the paper's figures.

    Arguments:
        name: of the table.
        scale: ``paper`` or ``small``.
        rows: names of the rows to run, separated by commas; None for all.
        asked: of which the data, the seeds, the protocol and the folder count.
        device: as ``--device``.
        jobs: rows at once; None for what the machine has.
        resume: whether to go on with a suite that is there.

    Raises:
        ValueError: an unknown table or row, or a row that failed; the others are finished.
        Interrupted: a signal stopped the suite.
    """
    table = _find_table(name)
    root = asked.out or Path("runs") / f"{name}-{scale}"
    planned = [_plan(table, row, scale, asked, root) for row in _find_rows(table, rows)]
    if root.is_dir() and not resume and not all(map(is_leftover, root.iterdir())):
        raise ValueError(
            f"{root}: expected no suite there, found files; add --resume to go on with it, or "
            "give another --out"
        )
    if scale == "paper" and (device == "cpu" or not torch.cuda.is_available()):
        say("note: the published scale takes days on a CPU; --scale small is for one")
    every = [_plan(table, row, scale, asked, root) for row in table.rows]
    wanted = {plan.row.name for plan in planned}
    done = {  # rows that were not asked for are in the table, too: their settings must be its own
        plan.row.name: plan.finished()
        for plan in every
        if plan.row.name in wanted or plan.folder.config.is_file()
    }
    left = [plan for plan in planned if not done[plan.row.name]]
    with locked(root):
        failed = _Runner(device, jobs or _jobs(table, device)).run(left, len(planned))
        outcomes = [read_outcome(plan.row, plan.folder) for plan in every]
        found = [outcome for outcome in outcomes if outcome is not None]
        page = write_suite(table, scale, found, root, _command(name, scale, rows, asked, root))
    if failed:
        raise ValueError(f"{name}: expected every row to finish, but {'; '.join(failed)}")
    print(f"report: {page}")


def _find_table(name: str) -> Table:
    if name not in TABLES:
        raise ValueError(
            f"--suite: expected one of {', '.join(TABLES)}, found {name!r}; name one of these"
        )
    return TABLES[name]


def _find_rows(table: Table, names: str | None) -> Sequence[Row]:
    known = {row.name: row for row in table.rows}
    if names is None:
        return table.rows
    for name in names.split(","):
        if name not in known:
            raise ValueError(
                f"--rows: expected rows of {table.name} ({', '.join(known)}), found {name!r}; "
                "name some of these, or leave it out for all"
            )
    return [known[name] for name in dict.fromkeys(names.split(","))]


def _plan(table: Table, row: Row, scale: str, asked: Options, root: Path) -> _Planned:
    values = table.options(row, scale)
    if table.takes_data and asked.data is not None:
        values["data"] = asked.data
    if asked.data is not None and not table.takes_data:
        raise ValueError(
            f"--data: expected none for {table.name}, whose latents are drawn, found "
            f"{asked.data}; leave it out"
        )
    if asked.seeds is not None:
        values["seeds"] = asked.seeds
    values["protocol"] = asked.protocol
    folder = root / row.name
    return _Planned(row, replace(Options(**values), out=folder), RunFolder(folder))


def _command(name: str, scale: str, rows: str | None, asked: Options, root: Path) -> str:
    command = ["threedident", "benchmark", "--suite", name, "--scale", scale]
    if rows is not None:
        command += ["--rows", rows]
    return shlex.join([*command, *replace(asked, out=root).arguments(), "--resume"])


def _jobs(table: Table, device: str) -> int:
    """Rows at once: one for each GPU, or for each processor where networks are small."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.device_count()
    return 1 if table.takes_data else processors()


class _Runner:
    """Runs rows in processes of their own, several at once.

    Arguments:
        device: as ``--device``.
        jobs: how many at once.
    """

    def __init__(self, device: str, jobs: int) -> None:
        self._device, self._jobs = device, jobs
        self._running: dict[int, tuple[_Planned, subprocess.Popen[bytes]]] = {}

    def run(self, left: list[_Planned], count: int) -> list[str]:
        """Run what is left of ``count`` rows; returns what failed, in words.

        Raises:
            Interrupted: a signal came; the rows at work are saved.
        """
        failed = []
        with deferred_stop() as stop, progress("suite", count, "rows") as advance:
            advance(count - len(left))
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
                            f"{stop.name}: every row at work is saved; the same command with "
                            "--resume goes on from there"
                        )
        return failed

    def _start(self, plan: _Planned) -> None:
        slot = next(number for number in range(self._jobs) if number not in self._running)
        environment = dict(os.environ)
        if self._jobs > 1:
            environment.setdefault("OMP_NUM_THREADS", str(max(1, processors() // self._jobs)))
            if torch.cuda.is_available() and self._device != "cpu":
                environment["CUDA_VISIBLE_DEVICES"] = _visible(slot)
        log = _log(plan)
        log.parent.mkdir(parents=True, exist_ok=True)
        line = [sys.executable, "-m", "threedident", "benchmark", *plan.options.arguments()]
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*line, "--device", self._device, "--resume"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,  # signals reach it through this process alone
                preexec_fn=partial(die_with, os.getpid()),
            )
        self._running[slot] = plan, process

    def _ended(self) -> list[tuple[_Planned, subprocess.Popen[bytes]]]:
        slots = [slot for slot, (_, p) in self._running.items() if p.poll() is not None]
        return [self._running.pop(slot) for slot in slots]

    def _end(self) -> None:
        """Ask every row at work to save and stop, and wait for it."""
        for _, process in self._running.values():
            process.send_signal(SIGTERM)
        for _, process in self._running.values():
            process.wait()
        self._running.clear()


def _visible(slot: int) -> str:
    """The GPU of a slot, among those that this process sees."""
    own = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = own.split(",") if own else [str(i) for i in range(torch.cuda.device_count())]
    return names[slot % len(names)]


def _log(plan: _Planned) -> Path:
    return plan.folder.path.parent / "logs" / f"{plan.row.name}.log"


def _why(plan: _Planned, status: int) -> str:
    """Why a row failed: the signal that killed it, or what it said last."""
    log = _log(plan)
    if status < 0:
        return f"killed by {Signals(-status).name}, see {log}"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].removeprefix("threedident: ") if lines else "it said nothing"
