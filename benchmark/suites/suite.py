"""Suites: tables of the paper, run row by row. A suite can be stopped and resumed.

Every row is a separate run, ``threedident benchmark ... --resume`` in its own process. So a single
row can be run again, inspected or submitted to the leaderboard.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmark.runs.completion import complete
from benchmark.runs.options import Options
from benchmark.suites import paper
from benchmark.suites.needs import Needs
from benchmark.suites.outcome import read_outcome
from benchmark.suites.questions import QUESTIONS
from benchmark.suites.report import write_suite
from benchmark.suites.runner import Planned, Runner
from benchmark.suites.table import Row, Table
from benchmark.training.folder import RunFolder
from threedident.runtime.errors import unknown
from threedident.runtime.files import is_leftover, locked
from threedident.runtime.machine import processors
from threedident.runtime.progress import say

TABLES = {**paper.TABLES, **QUESTIONS}
SUITES = tuple(TABLES)
SCALES = ("paper", "small")


def run_suite(
    name: str,
    scale: str,
    rows: str | None,
    asked: Options,
    device: str,
    jobs: int | None,
    resume: bool,
    trained: Path | None = None,
) -> None:
    """Run a table, and write its results next to the paper's.

    Arguments:
        name: name of the table.
        scale: ``paper`` or ``small``.
        rows: names of the rows to run, separated by commas; None for all.
        asked: options; only data, seeds, protocol and folder are used.
        device: value of ``--device``.
        jobs: number of rows in parallel; None to choose it for this machine.
        resume: True to continue an existing suite.
        trained: folder of another suite, whose trained rows replace the training; None to train.

    Raises:
        ValueError: a table or row is unknown, or a row failed. The other rows are finished.
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
    read = {complete(plan.options).data: plan.row.needs or table.needs for plan in planned}
    for data, needs in read.items():
        if data is not None and needs is not None:  # mixing reads none
            needs = _needs(needs, scale, asked.protocol)
            needs.check(name, data)
            say(f"{name}: the rows on {data} need {needs.spell()}")
    if scale == "paper" and (device == "cpu" or not torch.cuda.is_available()):
        say("note: the published scale takes days on a CPU; use --scale small there")
    every = [_plan(table, row, scale, asked, root) for row in table.rows]
    wanted = {plan.row.name for plan in planned}
    done = {  # finished rows that were not requested are in the table, too, so check them all
        plan.row.name: plan.finished()
        for plan in every
        if plan.row.name in wanted or plan.folder.config.is_file()
    }
    left = [plan for plan in planned if not done[plan.row.name]]
    with locked(root):
        runner = Runner(device, jobs or _jobs(table, device), trained)
        failed = runner.run(left, len(planned))
        outcomes = [read_outcome(plan.row, plan.folder) for plan in every]
        found = [outcome for outcome in outcomes if outcome is not None]
        command = _command(name, scale, rows, asked, root)
        page = write_suite(table, scale, asked.protocol, found, root, command)
    if failed:
        raise ValueError(f"{name}: expected every row to finish, but {'; '.join(failed)}")
    print(f"report: {page}")


def _find_table(name: str) -> Table:
    if name not in TABLES:
        raise ValueError(unknown("--suite", name, TABLES, "name one of these"))
    return TABLES[name]


def _needs(needs: Needs, scale: str, protocol: str) -> Needs:
    """The requirements at a scale. The published figures are those of published hues."""
    as_published = scale == "paper" and protocol == "published"
    return replace(needs, hues=("published",)) if as_published else needs


def _find_rows(table: Table, names: str | None) -> Sequence[Row]:
    known = {row.name: row for row in table.rows}
    if names is None:
        return table.rows
    for name in names.split(","):
        if name not in known:
            advice = f"name rows of {table.name}, or leave it out for all"
            raise ValueError(unknown("--rows", name, known, advice))
    return [known[name] for name in dict.fromkeys(names.split(","))]


def _plan(table: Table, row: Row, scale: str, asked: Options, root: Path) -> Planned:
    values = table.options(row, scale, asked.protocol)
    if table.takes_data and asked.data is not None and values.get("source") != "mixing":
        values["data"] = asked.data
    if asked.data is not None and not table.takes_data:
        raise ValueError(
            f"--data: expected none for {table.name}, whose latents are drawn, found "
            f"{asked.data}; leave it out"
        )
    if row.folder is not None:
        values["data"] = values["data"] / row.folder
    if asked.seeds is not None:
        values["seeds"] = asked.seeds
    folder = root / row.name
    return Planned(row, Options(**values).replace(out=folder), RunFolder(folder))


def _command(name: str, scale: str, rows: str | None, asked: Options, root: Path) -> str:
    command = ["threedident", "benchmark", "--suite", name, "--scale", scale]
    if rows is not None:
        command += ["--rows", rows]
    return shlex.join([*command, *asked.replace(out=root).arguments(), "--resume"])


def _jobs(table: Table, device: str) -> int:
    """Number of rows in parallel: one per GPU; without GPU 1, or one per core for mixing."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.device_count()
    return 1 if table.takes_data else processors()
