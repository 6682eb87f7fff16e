"""The command ``threedident benchmark``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from benchmark.guard.cli import guard
from benchmark.ranks import find_device, joined
from benchmark.runs.click_options import headings, run_options
from benchmark.runs.completion import complete
from benchmark.runs.experiment import carry_out
from benchmark.runs.options import Options
from benchmark.runs.resume import require_suite, take_up
from benchmark.sources.source import Machine
from benchmark.suites.suite import SCALES, SUITES, TABLES, run_suite
from threedident.conditionals.marginal import MARGINALS
from threedident.options import Choice, HeadedGroup, completed
from threedident.runtime.machine import keep_freed_memory, processors

_MOST_PROCESSES = 1024
_SUITE_TAKES = frozenset(
    "suite scale rows jobs data seeds protocol out resume trained device".split()  # noqa: SIM905
)
_HEADINGS = headings(
    Training=["compiled"],
    Suite=["suite", "scale", "rows", "jobs"],
    Run=["resume", "trained", "tensorboard", "device", "workers"],
)


def _run_to_resume(
    ctx: click.Context, param: click.Parameter, value: str | bool | None
) -> Path | bool:
    """The run named by ``--resume``; True if it names none; False without the option."""
    if value == "":
        raise click.BadParameter("expected a run's folder, found no name", ctx=ctx, param=param)
    return Path(value) if isinstance(value, str) else bool(value)


def _one_folder(out: Path | None, resume: Path) -> Path:
    if out is not None and out.resolve() != resume.resolve():
        raise ValueError(
            f"--resume: expected the run of --out, {out}, found {resume}; give one of them"
        )
    return resume


def _complete_rows(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:  # noqa: ARG001
    """Completions of the last name in ``--rows``: rows of the suite given earlier on the line."""
    table = TABLES.get(ctx.params.get("suite") or "")
    before, comma, last = begun.rpartition(",")
    names = () if table is None else (row.name for row in table.rows)
    return [f"{before}{comma}{name}" for name in names if name.startswith(last)]


_MARGINALS = sorted({name for names in MARGINALS.values() for name in names})


@click.group(
    cls=HeadedGroup,
    headings=_HEADINGS,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND]",
    context_settings={"show_default": True},
)
@run_options
@click.option("--compile", "compiled", is_flag=True, help="Compile the encoder with torch.")
@click.option(
    "--resume",
    is_flag=False,
    flag_value=True,
    type=click.UNPROCESSED,
    callback=_run_to_resume,
    metavar="[RUN]",
    help="Continue the run in this folder, or in --out. The folder stores all other options.",
)
@click.option(
    "--trained",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Score the encoders of this finished run in place of training; it may differ in "
    "--score-on alone. A suite takes the rows of another suite.",
)
@click.option("--tensorboard", is_flag=True, help="Also write logs for TensorBoard.")
@click.option(
    "--device",
    type=Choice(["auto", "cpu", "cuda"]),
    default="auto",
    help="Device to compute on; auto uses a GPU if there is one.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, _MOST_PROCESSES),
    default=None,
    help="Loader processes [default: one per 2 cores, at most 8].",
)
@click.option(
    "--suite",
    metavar="NAME",
    shell_complete=completed(SUITES),
    help=f"A table of the paper: {', '.join(SUITES)}.",
)
@click.option(
    "--scale",
    type=Choice(SCALES),
    default="small",
    help="Size of the runs of a suite: as in the paper, or small for a CPU.",
)
@click.option(
    "--rows",
    metavar="LIST",
    shell_complete=_complete_rows,
    help="Rows of a suite, separated by commas, such as box-identity [default: all].",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, _MOST_PROCESSES),
    default=None,
    help="Rows of a suite to run in parallel [default: one per GPU; without one 1, or for mixing "
    "one per core].",
)
@click.pass_context
def benchmark(
    ctx: click.Context,
    /,
    suite: str | None,
    scale: str,
    rows: str | None,
    jobs: int | None,
    resume: Path | bool,
    trained: Path | None,
    tensorboard: bool,
    device: str,
    workers: int | None,
    compiled: bool,
    **asked: Any,
) -> None:
    """Train an encoder on positive pairs, score it on the test split, write a report.

    Under torchrun, all processes train one encoder together.

    \b
    Examples:
        threedident benchmark --encoder resnet18
        threedident benchmark --data data/small --steps 500 --batch-size 64 --learning-rate 1e-3
        threedident benchmark --loss supervised --seeds 0,1,2
        threedident benchmark --source mixing --conditional laplace --loss l1 --output-space box
        threedident benchmark --suite table2
        threedident benchmark --resume runs/demo
        threedident benchmark guard --data data/3dident
    """
    if ctx.invoked_subcommand is not None:
        for name in _given(ctx):
            raise ValueError(
                f"--{name.replace('_', '-')}: expected no option of a run before "
                f"{ctx.invoked_subcommand}, found it; leave it out"
            )
        return
    options = Options(**asked)
    if isinstance(resume, Path):
        options = options.replace(out=_one_folder(options.out, resume))
    if suite is not None:
        _refuse_beside_suite(ctx)
        if isinstance(resume, Path):
            require_suite(resume)
        run_suite(suite, scale, rows, options, device, jobs, bool(resume), trained)
        return
    _refuse_without_suite(ctx)
    chosen = find_device(device)
    with joined(chosen) as ranks:
        machine = Machine(chosen, _workers(workers), ranks, compiled)
        with ranks.together():
            if resume:
                options = take_up(options, _given(ctx), required=isinstance(resume, Path))
            completed = complete(options)
        keep_freed_memory()
        carry_out(completed, machine, bool(resume), tensorboard, trained)


benchmark.add_command(guard)


def _given(ctx: click.Context) -> list[str]:
    return [n for n in ctx.params if ctx.get_parameter_source(n) is ParameterSource.COMMANDLINE]


def _refuse_beside_suite(ctx: click.Context) -> None:
    for param in ctx.command.params:
        if param.name in _given(ctx) and param.name not in _SUITE_TAKES:
            raise ValueError(
                f"{param.opts[0]}: expected no such option beside --suite, whose rows set it; "
                "leave it out"
            )
    if "WORLD_SIZE" in os.environ:
        raise ValueError(
            "--suite: expected one process, found torchrun; start it alone, and it takes every "
            "GPU of the machine"
        )


def _refuse_without_suite(ctx: click.Context) -> None:
    for name in _given(ctx):
        if name in ("scale", "rows", "jobs"):
            raise ValueError(f"--{name}: expected beside --suite, found none; leave it out")


def _workers(asked: int | None) -> int:
    """Number of loader processes: as requested, or one per two processors, at most eight."""
    return asked if asked is not None else min(8, processors() // 2)
