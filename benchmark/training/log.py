"""Logs of a training: JSON lines, TensorBoard if requested, and a forecast of its time."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmark.ranks import Ranks
from benchmark.training.folder import RunFolder, read_lines
from threedident.runtime.files import open_appending
from threedident.runtime.machine import processor_name, processors
from threedident.runtime.progress import spell_time

_LONGEST_S = 1e12
_INSTEAD = {  # advice for CPUs, on which the paper's scale takes too long, by kind of source
    "images": "--encoder glimpse, lower --resolution, fewer --steps, or --suite at --scale small",
    "mixing": "fewer --factors, a smaller --batch-size, fewer --steps, or a --suite at --scale "
    "small",
    "kitti": "fewer --steps, or --suite kitti at --scale small",
    "custom": "a smaller --encoder, a smaller --batch-size, or fewer --steps",
}
_AFTER = 20
_LONG_S = 12 * 3600.0


class Tracker(AbstractContextManager["Tracker"]):
    """Writer of the log of one seed, from a given step on.

    Lines after that step, which an interrupted training left, are deleted.

    Arguments:
        folder: folder of the run.
        seed: seed of the training.
        step: number of steps taken before.
        tensorboard: True to write for TensorBoard, too.
        silent: True to write nothing. All ranks except the first are silent.
    """

    def __init__(
        self, folder: RunFolder, seed: int, step: int, tensorboard: bool, silent: bool
    ) -> None:
        self._seed = seed
        self._file = None if silent else folder.rewind(seed, step)
        self._board: Any = None
        if tensorboard and not silent:
            from torch.utils.tensorboard import SummaryWriter

            place = folder.tensorboard / f"seed-{seed}"
            self._board = SummaryWriter(str(place), purge_step=step + 1)

    def record(self, step: int, values: dict[str, Any]) -> None:
        """Log values of a step."""
        if self._file is not None:
            line = {"seed": self._seed, "step": step, **values}
            self._file.write(json.dumps(line) + "\n")
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, float):
                    self._board.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write all lines to the disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())  # checkpoints contain a digest of the scores in it
        if self._board is not None:
            self._board.flush()

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        if self._board is not None:
            self._board.close()


class Unread:
    """Terms of the loss of the last steps, which stay on the device until they are read.

    Reading waits for the device, so on a GPU it is done every few steps.
    """

    def __init__(self) -> None:
        self._kept: list[tuple[int, list[str], torch.Tensor]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, step: int, terms: dict[str, torch.Tensor]) -> None:
        """Keep the terms of a step, scalars by name."""
        row = torch.stack([term.detach() for term in terms.values()])
        self._kept.append((step, list(terms), row))

    def read(self, stop: bool, ranks: Ranks) -> tuple[bool, dict[int, dict[str, float]]]:
        """The means over the ranks of all terms kept so far, by step, which are kept no longer.

        All ranks call it together.

        Arguments:
            stop: True if this rank was asked to stop.
            ranks: ranks that train together.

        Returns:
            True if any rank was asked to stop; and the terms.
        """
        kept, self._kept = self._kept, []
        flag = kept[-1][2].new_full((1,), float(stop))
        *values, stopped = ranks.mean(torch.cat([*(row for *_, row in kept), flag])).tolist()
        numbers = iter(values)
        return stopped > 0, {
            step: {name: next(numbers) for name in names} for step, names, _ in kept
        }


class Forecast:
    """Forecast of the remaining time, from the time of the first steps.

    Arguments:
        steps: remaining steps of this seed.
        later: steps of the seeds that follow.
        slow: True if the device is a CPU, on which the paper's scale takes too long.
        kind: kind of the source, which decides the advice on smaller settings.
    """

    def __init__(self, steps: int, later: int, slow: bool, kind: str) -> None:
        self._steps, self._later, self._slow, self._small = steps, later, slow, _INSTEAD[kind]
        self._taken = self._first = 0
        self._said, self._start = False, 0.0

    def step(self, say: Callable[[str], None], count: int = 1) -> None:
        """Count steps; after twenty timed steps, print how long the rest will take.

        The first ones are not timed, because they include compilation and filling of caches.

        Arguments:
            say: function that prints a line.
            count: steps since the last call, which the device has finished.
        """
        self._taken += count
        if not self._first:
            self._first, self._start = self._taken, time.perf_counter()
        timed = self._taken - self._first
        if self._said or timed < _AFTER or self._steps <= self._taken:
            return
        self._said = True
        each = (time.perf_counter() - self._start) / timed
        left = each * (self._steps - self._taken + self._later)
        others = ", and those of the other seeds" if self._later else ""
        say(
            f"{each:.3g} s a step: about {spell_time(left)} for the "
            f"{self._steps - self._taken} steps left{others}"
        )
        if self._slow and left > _LONG_S:
            say(f"that is long for a CPU; choose {self._small}")


class Work(NamedTuple):
    """Hardware, time and data of the training of one seed.

    Arguments:
        hardware: description of the hardware.
        seconds: wall time in seconds.
        data: path of the data set; None for a source without files.
    """

    hardware: str
    seconds: float
    data: Path | None


@contextmanager
def logged(
    path: Path, seed: int, data: Path | None, device: torch.device, ranks: Ranks
) -> Iterator[None]:
    """Log the time of a block to ``path``, even if an exception ends the block.

    Arguments:
        path: path of the log.
        seed: seed that the block trains.
        data: path of the data set, or None.
        device: device of the model.
        ranks: ranks that train together; only the first one writes.
    """
    place = None if data is None else str(data.resolve())

    def note(seconds: float) -> None:
        if ranks.leads:
            line = {"seed": seed, "seconds": seconds, "hardware": hardware, "data": place}
            with open_appending(path) as file:
                file.write(json.dumps(line) + "\n")

    hardware = _hardware(device, ranks)
    start = time.monotonic()
    note(0.0)
    try:
        yield
    finally:
        note(round(time.monotonic() - start, 3))


def read_work(path: Path, seed: int) -> Work | None:
    """Hardware, total time and data of a seed over all its log lines; None without lines."""
    mine = [line for line in _lines(path) if line["seed"] == seed]
    if not mine:
        return None
    hardware = dict.fromkeys(line["hardware"] for line in mine)
    place = mine[-1].get("data")
    return Work(
        ", then ".join(hardware),
        sum(line["seconds"] for line in mine),
        None if place is None else Path(place),
    )


def last_data(path: Path) -> Path | None:
    """The last recorded path of the data, over all seeds; None if there is no record."""
    places = [line["data"] for line in _lines(path) if line.get("data") is not None]
    return Path(places[-1]) if places else None


def _lines(path: Path) -> list[dict[str, Any]]:
    """The valid lines of a log. Damaged or truncated lines are skipped."""
    needed: dict[str, type | tuple[type, ...]] = {
        "seed": int,
        "seconds": (int, float),
        "hardware": str,
    }
    places = (str, type(None))
    return [
        line
        for line in read_lines(path, needed)
        if 0 <= line["seconds"] < _LONGEST_S and isinstance(line.get("data"), places)
    ]


def _hardware(device: torch.device, ranks: Ranks) -> str:
    if device.type == "cuda":
        return f"{ranks.count} x {torch.cuda.get_device_name(device)}"
    processes = "" if ranks.count == 1 else f" in {ranks.count} processes"
    threads = min(torch.get_num_threads(), processors())
    return f"{processor_name()}, {threads} thread{'s' * (threads > 1)}{processes}"
