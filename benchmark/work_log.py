"""How long the seeds of a run were worked on, with which data and on what.

Each time has a line at its start, of no seconds, and one at its end. They are kept apart from the
results, which are the same on every machine. Time that a killed process had spent is not in them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmark.json_lines import read_lines
from benchmark.ranks import Ranks
from threedident.runtime.files import open_appending
from threedident.runtime.machine import processor_name, processors

_LONGEST_S = 1e12


class Work(NamedTuple):
    """What went into one seed.

    Arguments:
        hardware: what it was trained on, in words.
        seconds: wall time.
        data: where the data set lay; None where there is none.
    """

    hardware: str
    seconds: float
    data: Path | None


@contextmanager
def logged(
    path: Path, seed: int, data: Path | None, device: torch.device, ranks: Ranks
) -> Iterator[None]:
    """Log the work within to ``path``, also where it is cut short by an exception.

    Arguments:
        path: of the log.
        seed: that is worked on.
        data: where the data set lies, where there is one.
        device: of the model.
        ranks: that work together; the first one writes.
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
    """What went into a seed over all its lines, or None where there are none."""
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
    """Where the data lay when any seed was worked on last; None where that is not known."""
    places = [line["data"] for line in _lines(path) if line.get("data") is not None]
    return Path(places[-1]) if places else None


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; those that are damaged or cut short are passed over."""
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
