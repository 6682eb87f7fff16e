"""The command ``benchmark``."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import click
import torch

from benchmark.config import LOSSES, SUPERVISED, Config, fitting_space
from benchmark.encoders import ENCODERS
from benchmark.report import write_results
from benchmark.run import RunFolder
from benchmark.sources import Machine
from benchmark.spaces import OUTPUT_SPACES
from benchmark.splits import identity, open_splits
from benchmark.training import train
from threedident.errors import Interrupted
from threedident.locking import locked
from threedident.machine import processors

_Command = TypeVar("_Command", bound=Callable[..., Any])

_SCORES_PER_RUN = 10


def _seeds(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    parts = value.split(",")
    numbers = [int(part) for part in parts if re.fullmatch(r"[0-9]{1,9}", part)]
    if len(numbers) != len(parts) or len(set(numbers)) != len(parts):
        raise click.BadParameter(
            f"expected distinct integers of at most nine digits such as 0,1,2, found {value}",
            ctx=ctx,
            param=param,
        )
    return tuple(numbers)


def _finite(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter(f"expected a finite number, found {value}", ctx=ctx, param=param)
    return value


def _positive(name: str, default: float, text: str) -> Callable[[_Command], _Command]:
    """An option that takes a positive finite number."""
    kind = click.FloatRange(0, min_open=True)
    return click.option(name, type=kind, default=default, callback=_finite, help=text)


@click.command(context_settings={"show_default": True})
@click.option("--encoder", type=click.Choice(ENCODERS), default="resnet18", help="Architecture.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data/3dident"))
@click.option(
    "--resolution",
    type=click.IntRange(1),
    default=None,
    help="Edge of the images in pixels [default: that of the data set].",
)
@click.option(
    "--loss",
    type=click.Choice(LOSSES),
    default="l2",
    help="InfoNCE with this similarity, or supervised.",
)
@click.option(
    "--output-space",
    type=click.Choice(list(OUTPUT_SPACES)),
    default=None,
    help="Where codes lie; by default what fits the loss.",
)
@click.option(
    "--conditional",
    type=click.Choice(["normal", "laplace"]),
    default="normal",
    help="Density of positives.",
)
@_positive("--sigma", 0.1, "Its scale.")
@_positive("--temperature", 1.0, "Divides similarities.")
@click.option("--steps", type=click.IntRange(1), default=30_000)
@click.option("--batch-size", type=click.IntRange(2), default=512, help="Pairs a step.")
@_positive("--learning-rate", 1e-4, "Of Adam.")
@click.option(
    "--seeds",
    callback=_seeds,
    default="0",
    metavar="LIST",
    help="One training each, such as 0,1,2.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Run folder [default: named in runs/]."
)
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--workers", type=click.IntRange(0), default=None, help="Loader processes.")
def benchmark(
    encoder: str,
    data: Path,
    resolution: int | None,
    loss: str,
    output_space: str | None,
    conditional: Literal["normal", "laplace"],
    sigma: float,
    temperature: float,
    steps: int,
    batch_size: int,
    learning_rate: float,
    seeds: tuple[int, ...],
    out: Path | None,
    resume: bool,
    device: str,
    workers: int | None,
) -> None:
    """Train an encoder on positive pairs, score it on the test split, write a report.

    \b
    Examples:
        threedident benchmark --encoder resnet18
        threedident benchmark --data data/small --steps 500 --batch-size 64 --learning-rate 1e-3
        threedident benchmark --loss supervised --seeds 0,1,2
    """
    space = fitting_space(loss, output_space)
    machine = Machine(_device(device), _workers(workers))
    splits = open_splits(data, resolution)
    if batch_size > len(splits[0]):
        raise ValueError(
            f"--batch-size: expected at most {len(splits[0])}, the images of the train split, "
            f"found {batch_size}; lower it or render more"
        )
    contrastive = loss != SUPERVISED
    config = Config(
        encoder=encoder,
        loss=loss,
        output_space=space,
        conditional=conditional if contrastive else None,
        sigma=sigma if contrastive else None,
        temperature=temperature if contrastive else None,
        data={split.folder.split: identity(split) for split in splits},
        resolution=splits[0].resolution,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        eval_every=max(1, steps // _SCORES_PER_RUN),
        seeds=seeds,
    )
    folder = RunFolder(out or Path("runs") / _run_name(config))
    folder.check(config, resume)
    with locked(folder.path):
        folder.open(config, resume)
        click.echo(
            f"{data}: {len(splits[0])} train and {len(splits[1])} test images; "
            f"run in {folder.path}"
        )
        try:
            results = [train(config, seed, splits, folder, machine) for seed in seeds]
            command = _command(config, data, folder)
            scores = write_results(folder, config, results, splits, command)
        except KeyboardInterrupt:
            raise Interrupted(
                "interrupted; the same command with --resume goes on from there"
            ) from None
    click.echo(
        f"R2 {scores['r2']:.3f} (untrained {scores['untrained']['r2']:.3f}), "
        f"MCC {scores['mcc']:.3f} (untrained {scores['untrained']['mcc']:.3f}) on the test split"
    )
    click.echo(f"report: {folder.report}")


def _device(name: str) -> torch.device:
    """The device to compute on.

    Raises:
        ValueError: CUDA was asked for and is not there.
    """
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise ValueError(
            "--device: expected cpu here, found cuda but no CUDA GPU; use --device cpu"
        )
    return torch.device("cuda" if found and name != "cpu" else "cpu")


def _workers(asked: int | None) -> int:
    """Loader processes: as asked, or one for every two processors, at most eight."""
    return asked if asked is not None else min(8, processors() // 2)


def _run_name(config: Config) -> str:
    parts = [config.encoder, config.loss, config.output_space, config.conditional]
    return "-".join(part for part in parts if part)


def _command(config: Config, data: Path, folder: RunFolder) -> str:
    options: dict[str, object] = {
        "encoder": config.encoder,
        "data": data,
        "resolution": config.resolution,
        "loss": config.loss,
        "output-space": config.output_space,
        "conditional": config.conditional,
        "sigma": config.sigma,
        "temperature": config.temperature,
        "steps": config.steps,
        "batch-size": config.batch_size,
        "learning-rate": config.learning_rate,
        "seeds": ",".join(map(str, config.seeds)),
        "out": folder.path,
    }
    given = [f"--{name}={value}" for name, value in options.items() if value is not None]
    return shlex.join(["threedident", "benchmark", *given, "--resume"])
