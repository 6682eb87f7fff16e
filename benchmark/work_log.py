"""How long the seeds of a run were worked on, with which data and on what: one line each time.

Kept apart from the results, which are the same on every machine. Time that a killed process had
spent is not in it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch

from benchmark.ranks import Ranks
from threedident.machine import processor_name, processors


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
    """Add a line on the work within to ``path``, also where it is cut short by an exception.

    Arguments:
        path: of the log.
        seed: that is worked on.
        data: folder of the data set, where there is one.
        device: of the model.
        ranks: that work together; the first one writes.
    """
    start = time.monotonic()
    try:
        yield
    finally:
        if ranks.leads:
            spent = round(time.monotonic() - start, 3)
            line = {
                "seed": seed,
                "seconds": spent,
                "hardware": _hardware(device, ranks),
                "data": None if data is None else str(data.resolve()),
            }
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def read_work(path: Path, seed: int) -> Work | None:
    """What went into a seed over all its lines, or None where there are none."""
    if not path.is_file():
        return None
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    mine = [line for line in lines if line["seed"] == seed]
    if not mine:
        return None
    hardware = dict.fromkeys(line["hardware"] for line in mine)
    place = mine[-1].get("data")
    return Work(
        ", then ".join(hardware),
        sum(line["seconds"] for line in mine),
        None if place is None else Path(place),
    )


def _hardware(device: torch.device, ranks: Ranks) -> str:
    if device.type == "cuda":
        return f"{ranks.count} x {torch.cuda.get_device_name(device)}"
    processes = "" if ranks.count == 1 else f" in {ranks.count} processes"
    threads = min(torch.get_num_threads(), processors())
    return f"{processor_name()}, {threads} thread{'s' * (threads > 1)}{processes}"
