"""The command ``benchmark``."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from benchmark.config import LARGEST, MOST_FRAMES, MOST_LATENTS, MOST_PAIRS, MOST_STEPS
from benchmark.encoders.networks import ENCODERS
from benchmark.encoders.output_spaces import OUTPUT_SPACES
from benchmark.losses.match import LOSSES
from benchmark.ranks import find_device, joined
from benchmark.runs.experiment import carry_out
from benchmark.runs.options import SOURCES, Options, complete
from benchmark.runs.resume import require_suite, take_up
from benchmark.sources.mixing import MARGINALS
from benchmark.sources.source import Machine
from benchmark.suites.paper import TABLES
from benchmark.suites.suite import SCALES, SUITES, run_suite
from benchmark.training.loop import SCHEDULES
from threedident.conditionals.law import CONDITIONALS
from threedident.options import Choice, HeadedCommand, Seed, completed
from threedident.runtime.errors import printable
from threedident.runtime.machine import processors

_MOST_PROCESSES = 1024
_Command = TypeVar("_Command", bound=Callable[..., Any])
_SUITE_TAKES = frozenset(
    ("suite", "scale", "rows", "jobs", "data", "seeds", "protocol", "out", "resume", "device")
)
_HEADINGS = {
    "Data": ("source", "data", "resolution", "factors", "space", "marginal"),
    "Pairs": ("conditional", "sigma", "anchor", "max_distance"),
    "Model": ("encoder", "output_space", "extent"),
    "Training": (
        *("loss", "temperature", "symmetric", "learned_scales", "steps", "batch_size"),
        *("learning_rate", "schedule", "warmup", "precision", "compiled"),
    ),
    "Scoring": ("protocol",),
    "Suite": ("suite", "scale", "rows", "jobs"),
    "Run": ("seeds", "out", "resume", "tensorboard", "device", "workers"),
}


def _seeds(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    if value is None:
        return None
    numbers = tuple(Seed().convert(part, param, ctx) for part in value.split(","))
    if len(set(numbers)) != len(numbers):
        raise click.BadParameter(
            f"expected distinct integers such as 0,1,2, found {printable(value)}",
            ctx=ctx,
            param=param,
        )
    return numbers


def _run_to_resume(
    ctx: click.Context, param: click.Parameter, value: str | bool | None
) -> Path | bool:
    """A run, True where none is named, or False without the option."""
    if value == "":
        raise click.BadParameter("expected a run's folder, found no name", ctx=ctx, param=param)
    return Path(value) if isinstance(value, str) else bool(value)


def _one_folder(out: Path | None, resume: Path) -> Path:
    if out is not None and out.resolve() != resume.resolve():
        raise ValueError(
            f"--resume: expected the run of --out, {out}, found {resume}; give one of them"
        )
    return resume


def _finite(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"expected a finite number, found {value}", ctx=ctx, param=param)
    return value


def _positive(name: str, text: str) -> Callable[[_Command], _Command]:
    """An option that takes a positive finite number, as far as float32 reaches."""
    kind = click.FloatRange(0, LARGEST, min_open=True)
    return click.option(name, type=kind, callback=_finite, help=text)


def _count(
    name: str, text: str, least: int = 1, most: int | None = None
) -> Callable[[_Command], _Command]:
    """An option that takes an integer."""
    return click.option(name, type=click.IntRange(least, most), help=text)


def _complete_rows(ctx: click.Context, param: click.Parameter, begun: str) -> list[str]:  # noqa: ARG001
    """Rows of the suite that stands before on the line, the last of a list by commas."""
    table = TABLES.get(ctx.params.get("suite") or "")
    before, comma, last = begun.rpartition(",")
    names = () if table is None else (row.name for row in table.rows)
    return [f"{before}{comma}{name}" for name in names if name.startswith(last)]


_MARGINALS = sorted({name for names in MARGINALS.values() for name in names})


@click.command(cls=HeadedCommand, headings=_HEADINGS, context_settings={"show_default": True})
@click.option(
    "--encoder",
    metavar="NAME",
    shell_complete=completed(ENCODERS),
    help=f"Network: {', '.join(ENCODERS)}, or one of your own as my_pkg.nets:MyNet [default: "
    "resnet18; mixing mlp; kitti conv].",
)
@click.option(
    "--source",
    type=Choice(SOURCES),
    default="nearest",
    help="Where positive pairs come from: images by nearest latent, rendered exactly or "
    "augmented; mixed latents; KITTI Masks.",
)
@click.option("--data", type=click.Path(path_type=Path), help="Data set [default: data/3dident].")
@_count("--resolution", "Edge of the images in pixels [default: that of the data set].")
@click.option(
    "--conditional",
    metavar="NAME",
    shell_complete=completed(CONDITIONALS),
    help=f"p(z~ | z) of positives: {', '.join(CONDITIONALS)} [default: normal].",
)
@_positive("--sigma", "Scale of the conditional; for vmf 1 / kappa [default: 0.1; mixing 0.05].")
@click.option(
    "--anchor",
    type=Choice(["row", "marginal"]),
    help="Nearest pairs: around a row of the data, or as published [default: row].",
)
@_count("--factors", "Mixing: number of latents n [default: 10].", least=2, most=MOST_LATENTS)
@click.option(
    "--space", type=Choice(list(MARGINALS)), help="Mixing: space of the latents [default: box]."
)
@click.option(
    "--marginal",
    type=Choice(_MARGINALS),
    help="Mixing: marginal p(z) [default: uniform; real space normal].",
)
@_count(
    "--max-distance",
    "KITTI: most frames between the two of a pair [default: 1].",
    most=MOST_FRAMES,
)
@click.option(
    "--loss",
    metavar="NAME",
    shell_complete=completed(LOSSES),
    help=f"{', '.join(LOSSES)}, or lP with an exponent such as l1.5 [default: l2; augmented dot; "
    "kitti l1].",
)
@click.option(
    "--output-space",
    type=Choice(list(OUTPUT_SPACES)),
    help="Space in which codes lie [default: what fits the loss].",
)
@_positive(
    "--extent",
    "Side of the box or radius of the sphere; the first value where it is learned [default: box "
    "10, else 1].",
)
@_positive("--temperature", "Temperature, which divides similarities [default: 1].")
@click.option("--symmetric", is_flag=True, help="Take positives as anchors, too, as in SimCLR.")
@click.option(
    "--learned-scales", is_flag=True, help="Learn a weight for each coordinate in the loss."
)
@_count(
    "--steps",
    "Training steps; 0 scores the untrained encoder [default: the paper's].",
    least=0,
    most=MOST_STEPS,
)
@_count(
    "--batch-size",
    "Pairs a step, over all ranks [default: the paper's].",
    least=2,
    most=MOST_PAIRS,
)
@_positive("--learning-rate", "Learning rate of Adam [default: 1e-4].")
@click.option(
    "--schedule",
    type=Choice(SCHEDULES),
    default="constant",
    help="Learning rate over the steps after the warm-up.",
)
@click.option(
    "--warmup",
    type=click.IntRange(0, MOST_STEPS),
    default=0,
    help="Steps in which the learning rate rises linearly.",
)
@click.option(
    "--precision",
    type=Choice(["float32", "bf16"]),
    default="float32",
    help="Precision of the encoder's layers in training; bf16 is autocast.",
)
@click.option("--compile", "compiled", is_flag=True, help="Let torch compile the encoder.")
@click.option(
    "--protocol",
    type=Choice(["held-out", "published"]),
    default="held-out",
    help="Scores on the whole test split, or as published: 4096 rows, statistics of the batch.",
)
@click.option(
    "--seeds",
    callback=_seeds,
    metavar="LIST",
    help="Seeds by commas, one training each, such as 0,1,2 [default: 0].",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run folder [default: named in runs/]."
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value=True,
    type=click.UNPROCESSED,
    callback=_run_to_resume,
    metavar="[RUN]",
    help="Go on with the run in this folder, or in --out. The folder holds all other options.",
)
@click.option("--tensorboard", is_flag=True, help="Log for TensorBoard, too.")
@click.option(
    "--device",
    type=Choice(["auto", "cpu", "cuda"]),
    default="auto",
    help="What to compute on; auto takes a GPU where there is one.",
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
    help="Size of a suite's runs: as in the paper, or small for a CPU.",
)
@click.option(
    "--rows",
    metavar="LIST",
    shell_complete=_complete_rows,
    help="Rows of a suite by commas, such as box-identity [default: all].",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, _MOST_PROCESSES),
    default=None,
    help="Rows of a suite at once [default: one per GPU; without one 1, or for mixing one per "
    "core].",
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
    """
    options = Options(**asked)
    if isinstance(resume, Path):
        options = replace(options, out=_one_folder(options.out, resume))
    if suite is not None:
        _refuse_beside_suite(ctx)
        if isinstance(resume, Path):
            require_suite(resume)
        run_suite(suite, scale, rows, options, device, jobs, bool(resume))
        return
    _refuse_without_suite(ctx)
    chosen = find_device(device)
    with joined(chosen) as ranks:
        machine = Machine(chosen, _workers(workers), ranks, compiled)
        with ranks.together():
            if resume:
                options = take_up(options, _given(ctx), required=isinstance(resume, Path))
            completed = complete(options)
        carry_out(completed, machine, bool(resume), tensorboard)


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
    """Loader processes: as asked, or one for every two processors, at most eight."""
    return asked if asked is not None else min(8, processors() // 2)
