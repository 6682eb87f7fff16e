"""Options that commands which render share: where and on what workers run."""

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
_MOST_DIGITS = 20  # of a seed
_MOST_HANDS = 1024  # workers, and threads of one: Blender takes no more

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
    help="paper as published, standard to train on, draft for previews.",
)
HUE = click.option(
    "--hue",
    type=Choice(["wrapped", "published"]),
    default="wrapped",
    help="How negative hue angles become colours; published is not injective.",
)
MATERIAL = click.option(
    "--material",
    type=Choice(["rubber", "metal"]),
    default="rubber",
    help="What object and ground are made of.",
)
DEVICE = click.option(
    "--device", type=Choice(DEVICES), default="auto", help="What Cycles computes on."
)
WORKERS = click.option(
    "--workers",
    type=click.IntRange(1, _MOST_HANDS),
    default=None,
    help="Processes of this machine [default: one per 2 cores, or one per GPU].",
)
_EXECUTOR_OPTIONS = (
    click.option(
        "--executor",
        type=Choice(["local", "ray", "slurm"]),
        default="local",
        help="What runs the workers.",
    ),
    WORKERS,
    click.option(
        "--threads",
        type=click.IntRange(1, _MOST_HANDS),
        default=None,
        help="Threads of a worker [default: this machine's share, 2 on a cluster].",
    ),
    click.option("--ray-address", default=None, help="Ray cluster to join [default: this one's]."),
    click.option("--slurm-partition", default=None, help="Partition [default: the queue's]."),
    click.option(
        "--slurm-minutes",
        type=click.IntRange(1),
        default=None,
        help="Time limit of a chunk [240].",
    ),
    click.option(
        "--slurm-array", type=click.IntRange(1), default=None, help="Chunks at a time [64]."
    ),
    click.option(
        "--slurm-requeue/--no-slurm-requeue",
        default=None,
        help="Whether preempted chunks go back into the queue [they do].",
    ),
    click.option(
        "--slurm-cluster",
        type=Choice(["slurm", "local"]),
        default=None,
        help="local tries the same on this machine, without SLURM.",
    ),
)


class GivenSeed(Seed):
    """A seed, or ``-`` to read one from standard input: command lines are for all to see."""

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
    """Where workers run, as the command line gives it.

    Arguments:
        executor: ``local``, ``ray`` or ``slurm``.
        workers: processes of this machine, or None for as many as fit.
        threads: processor threads of a worker, or None for as many as fit.
        ray_address: of a Ray cluster, or None.
        queue: what to ask of a SLURM queue.
    """

    executor: Literal["local", "ray", "slurm"] = "local"
    workers: int | None = None
    threads: int | None = None
    ray_address: str | None = None
    queue: Queue = field(default_factory=Queue)

    def starter(self, gpus: int) -> Callable[[SplitFolder], Executor]:
        """What makes the executor of a split.

        Arguments:
            gpus: how many GPUs this machine renders with; on a cluster every worker has one.

        Raises:
            ValueError: the executor's packages or commands are not here.
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
    """Take the options of :func:`executor_options` out of ``given``.

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
        f"{option}: expected --executor {executor} beside it, found another; drop one of the two"
    )


def resolve(device: str, elsewhere: bool = False) -> tuple[str, int]:
    """The device to use, and how many GPUs of it this machine has.

    Arguments:
        device: its name, or ``auto`` for the best that is here.
        elsewhere: whether other machines render, which may have what this one has not.

    Raises:
        ValueError: it is not there.
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
