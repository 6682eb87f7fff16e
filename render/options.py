"""Options shared by the commands that render: settings, device, and where workers run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import click

from render.executors.executor import Executor, Local, crew
from render.executors.ray import Ray
from render.executors.slurm import Queue, Slurm
from render.settings import DEVICES, QUALITIES
from render.workers.process import devices
from threedident.options import Choice, Seed
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import MOST_PIXELS

_CLUSTER_THREADS = 2
_MOST_DIGITS = 20  # digits of a seed
_MOST_HANDS = 1024  # workers, or threads per worker; Blender accepts no more threads

Command = TypeVar("Command", bound=Callable[..., Any])
RESOLUTION = click.option(
    "--resolution",
    type=click.IntRange(16, MOST_PIXELS),
    default=224,
    help="Edge of an image in pixels.",
)
QUALITY = click.option(
    "--quality",
    type=Choice(list(QUALITIES)),
    default="standard",
    help="paper: as published. standard: for training. draft: for previews.",
)
HUE = click.option(
    "--hue",
    type=Choice(["wrapped", "published"]),
    default="wrapped",
    help="Colours of negative hue angles; published maps several angles to one colour.",
)
MATERIAL = click.option(
    "--material",
    type=Choice(["rubber", "metal"]),
    default="rubber",
    help="Material of object and ground.",
)
POSITIVE_MATERIAL = click.option(
    "--positive-material",
    type=Choice(["rubber", "metal"]),
    default=None,
    help="Material of the positives [default: that of the images].",
)
DEVICE = click.option(
    "--device", type=Choice(DEVICES), default="auto", help="Device on which Cycles renders."
)
WORKERS = click.option(
    "--workers",
    type=click.IntRange(1, _MOST_HANDS),
    default=None,
    help="Worker processes on this machine [default: one per 2 cores, or one per GPU].",
)
_EXECUTOR_OPTIONS = (
    click.option(
        "--executor",
        type=Choice(["local", "ray", "slurm"]),
        default="local",
        help="Where workers run: this machine, a Ray cluster, or a SLURM queue.",
    ),
    WORKERS,
    click.option(
        "--threads",
        type=click.IntRange(1, _MOST_HANDS),
        default=None,
        help="Threads per worker [default: all cores shared equally; 2 on a cluster].",
    ),
    click.option(
        "--ray-address", default=None, help="Ray cluster to join [default: this machine's]."
    ),
    click.option(
        "--slurm-partition", default=None, help="Partition [default: that of the queue]."
    ),
    click.option(
        "--slurm-minutes",
        type=click.IntRange(1),
        default=None,
        help="Time limit per chunk in minutes [240].",
    ),
    click.option(
        "--slurm-array",
        type=click.IntRange(1),
        default=None,
        help="Maximum number of chunks that run at the same time [64].",
    ),
    click.option(
        "--slurm-requeue/--no-slurm-requeue",
        default=None,
        help="Put preempted chunks back into the queue, or not [they are put back].",
    ),
    click.option(
        "--slurm-cluster",
        type=Choice(["slurm", "local"]),
        default=None,
        help="local: try the same commands on this machine, without SLURM.",
    ),
)


class GivenSeed(Seed):
    """A seed, or ``-`` to read it from standard input, since other users see command lines."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The seed, checked."""
        if value == "-":
            value = sys.stdin.readline(_MOST_DIGITS).strip()
        return super().convert(value, param, ctx)


SEED = click.option(
    "--seed",
    type=GivenSeed(),
    default=None,
    help="Seed of all draws, or - to read it from standard input [default: 0].",
)


@dataclass(frozen=True, kw_only=True)
class Machines:
    """The command line's choice of where workers run.

    Arguments:
        executor: ``local``, ``ray`` or ``slurm``.
        workers: number of processes on this machine, or None for as many as fit.
        threads: processor threads per worker, or None for as many as fit.
        ray_address: address of a Ray cluster, or None.
        queue: settings of the SLURM queue.
    """

    executor: Literal["local", "ray", "slurm"] = "local"
    workers: int | None = None
    threads: int | None = None
    ray_address: str | None = None
    queue: Queue = field(default_factory=Queue)

    def starter(self, gpus: int) -> Callable[[SplitFolder], Executor]:
        """A function that creates the executor for a split.

        Arguments:
            gpus: number of GPUs to render with on this machine, or 0. On a cluster every worker
                uses one GPU if this is not 0.

        Raises:
            ValueError: packages or commands of the executor are not installed.
        """
        hands = crew(self.workers, gpus, self.threads or self._cluster_threads())
        if self.executor == "ray":
            cluster = Ray(hands, self.ray_address)
            return lambda _: cluster
        if self.executor == "slurm":
            Slurm.check(self.queue)
            return lambda folder: Slurm(hands, self.queue, folder.scratch / "slurm")
        return lambda _: Local(hands)

    def _cluster_threads(self) -> int | None:
        return None if self.executor == "local" else _CLUSTER_THREADS


def executor_options(command: Command) -> Command:
    """Add the options that :func:`machines` reads."""
    for option in reversed(_EXECUTOR_OPTIONS):
        command = option(command)
    return command


def machines(given: dict[str, Any]) -> Machines:
    """Remove the options of :func:`executor_options` from ``given``, and return them.

    Raises:
        ValueError: an option belongs to another executor.
    """
    executor, workers = given.pop("executor"), given.pop("workers")
    threads, ray_address = given.pop("threads"), given.pop("ray_address")
    names = [name for name in given if name.startswith("slurm_")]
    queue = {name.removeprefix("slurm_"): given.pop(name) for name in names}
    asked = {name: value for name, value in queue.items() if value is not None}
    if asked and executor != "slurm":
        raise _misplaced(f"--slurm-{next(iter(asked))}", "slurm")
    if ray_address is not None and executor != "ray":
        raise _misplaced("--ray-address", "ray")
    if workers is not None and executor != "local" and asked.get("cluster") != "local":
        raise _misplaced("--workers", "local")
    return Machines(
        executor=executor,
        workers=workers,
        threads=threads,
        ray_address=ray_address,
        queue=Queue(**asked),
    )


def _misplaced(option: str, executor: str) -> ValueError:
    return ValueError(
        f"{option}: expected --executor {executor}, found another; leave one of the two out"
    )


def resolve(device: str, elsewhere: bool = False) -> tuple[str, int]:
    """The device to use, and the number of its GPUs on this machine.

    Arguments:
        device: name of the device, or ``auto`` for the best one of this machine.
        elsewhere: True if other machines render. A named device is then not looked for here.

    Raises:
        ValueError: this machine does not have the device.
    """
    if device == "cpu":
        return device, 0
    if elsewhere and device != "auto":
        return device, 1
    found = devices()
    if device == "auto":
        device = next(iter(found))
    if device not in found:
        raise ValueError(f"--device: expected one of {', '.join(found)} here, found {device}")
    return device, 0 if device == "cpu" else found[device]
