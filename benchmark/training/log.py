"""Logs of a training: JSON lines, and TensorBoard if requested."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmark.ranks import Ranks
from benchmark.training.folder import RunFolder, read_lines
from threedident.runtime.files import open_appending
from threedident.runtime.machine import processor_name, processors

_LONGEST_S = 1e12


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
