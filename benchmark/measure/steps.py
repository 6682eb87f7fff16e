"""The command ``python -m benchmark.measure steps``: ways of computing an encoder on a device.

Each pass is a forward and a backward pass. The ways take turns, so that changes in the speed of
the machine affect all of them. The time of a way is its median.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import click
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from benchmark.encoders.model import can_compile
from benchmark.encoders.networks import build_encoder
from benchmark.ranks import Ranks
from benchmark.runs.completion import complete
from benchmark.runs.opening import resolve
from benchmark.runs.options import Options
from benchmark.sources.images import ImageSource
from benchmark.sources.source import Machine
from benchmark.training.objective import Objective
from threedident.conditionals.law import Law
from threedident.dataset.split import ThreeDIdent
from threedident.options import Choice
from threedident.runtime.progress import progress

_CODES = 10
_WARM_UP = 2

Way = Callable[[Tensor], Tensor]
_BATCH = 64


@click.command(context_settings={"show_default": True})
@click.option("--encoder", default="resnet18", help="Encoder, as in threedident benchmark.")
@click.option("--resolution", type=click.IntRange(8), default=64, help="Edge in pixels.")
@click.option("--images", type=click.IntRange(2), default=128, help="Images in a batch.")
@click.option("--rounds", type=click.IntRange(1), default=7, help="Passes; the median counts.")
@click.option("--device", type=Choice(["cpu", "cuda"]), default="cpu", help="Device to use.")
def step_speed(encoder: str, resolution: int, images: int, rounds: int, device: str) -> None:
    """Measure memory formats, precisions and the compiler on this device.

    \b
    Example:
        python -m benchmark.measure steps --encoder conv
    """
    there = torch.device(device)
    shape = (3, resolution, resolution)
    pictures = torch.rand(images, *shape, generator=torch.Generator().manual_seed(0)).to(there)
    ways = dict(_ways(encoder, shape, there))
    times: dict[str, list[float]] = {name: [] for name in ways}
    with progress("measure", (_WARM_UP + rounds) * len(ways), "passes") as advance:
        for turn in range(_WARM_UP + rounds):
            for name, way in ways.items():
                seconds = _seconds(way, pictures)
                if turn >= _WARM_UP:
                    times[name].append(seconds)
                advance()
    first, *_ = medians = [median(values) for values in times.values()]
    table = Table(
        title=f"{encoder}, {images} images of {resolution} px, {there.type}, both passes",
        title_justify="left",
    )
    for column in ("way", "images/s", "ratio"):
        table.add_column(column)
    for name, seconds in zip(times, medians, strict=True):
        table.add_row(name, f"{images / seconds:.0f}", f"{first / seconds:.2f}")
    Console().print(table)


def _ways(encoder: str, shape: tuple[int, ...], device: torch.device) -> Iterator[tuple[str, Way]]:
    def build() -> nn.Module:
        return build_encoder(encoder, shape, _CODES, "unbounded", seed=0).to(device)

    def last() -> Any:
        return build().to(memory_format=torch.channels_last)

    plain, low, compiled = build(), last(), last()
    compiled.compile()
    wide = last()
    yield "float32", plain
    yield "float32, channels-last", lambda x: wide(_channels_last(x))

    def in_bf16(x: Tensor) -> Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            codes: Tensor = low(_channels_last(x))
        return codes

    yield "bf16, channels-last", in_bf16
    if can_compile(device):
        yield "float32, channels-last, compiled", lambda x: compiled(_channels_last(x))


def _channels_last(images: Tensor) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last)


def _seconds(way: Way, images: Tensor) -> float:
    """Seconds of a forward and a backward pass."""
    settle(images.device)
    start = time.perf_counter()
    way(images).square().mean().backward()  # type: ignore[no-untyped-call]
    settle(images.device)
    return time.perf_counter() - start


def settle(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class StepCost(NamedTuple):
    """Time of a training step.

    Arguments:
        step_s: median time in seconds of a whole step: batch, both passes, loss, and Adam.
        waiting: share of the total time spent waiting for batches.
        overhead: median time of a whole step, divided by that of the encoder's two passes,
            minus 1.
    """

    step_s: float
    waiting: float
    overhead: float


def step_cost(dataset: ThreeDIdent, workers: int, steps: int) -> StepCost:
    """The time of a step of ResNet-18 with 64 pairs, on the CPU.

    Whole steps take turns with passes of only the encoder over the same images.

    Arguments:
        dataset: split with the images. Packed images are gathered in this process, others by
            loader processes.
        workers: number of loader processes.
        steps: number of steps to measure, after two warm-up steps.
    """
    source = ImageSource((dataset, dataset), "nearest", Law(name="normal", sigma=0.1))
    options = complete(Options(data=Path(), steps=steps, batch_size=_BATCH))
    config = resolve(options, source)
    objective = Objective(config, source, 0, Ranks())
    optimizer = torch.optim.Adam(objective.parameters(), lr=config.learning_rate, fused=True)
    machine = Machine(torch.device("cpu"), workers)
    batches = source.batches(0, range(_WARM_UP + steps), _BATCH, machine)
    waited, worked, encoded = [], [], []
    for _ in range(_WARM_UP + steps):
        start = time.perf_counter()
        batch = next(batches)
        ready = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        terms = torch.stack(list(objective(batch).values()))
        terms[0].backward()  # type: ignore[no-untyped-call]
        terms.tolist()
        optimizer.step()
        end = time.perf_counter()
        waited.append(ready - start)
        worked.append(end - start)
        encoded.append(_encode(objective, torch.cat(batch.observations)))
    step, alone = median(worked[_WARM_UP:]), median(encoded[_WARM_UP:])
    return StepCost(step, sum(waited[_WARM_UP:]) / sum(worked[_WARM_UP:]), step / alone - 1.0)


def _encode(objective: Objective, images: torch.Tensor) -> float:
    """Seconds of a forward and a backward pass of the encoder."""
    objective.zero_grad(set_to_none=True)
    start = time.perf_counter()
    codes = objective.model(images)
    codes.backward(torch.ones_like(codes))
    return time.perf_counter() - start
