"""Trial of Blender on this machine: devices of Cycles, and images per second of a few frames."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress

import numpy as np

from render.scene.frame import frame
from render.settings import find_quality
from threedident.latents.sampling import sample_raw, to_physical
from threedident.runtime.machine import processors

_TRIALS = (("draft", 64, 8), ("standard", 224, 2))  # quality, edge in pixels, frames


def images_a_second(devices: Iterable[str]) -> dict[str, float]:
    """Images per second of each trial, after one frame to warm up, by its description.

    Arguments:
        devices: devices of Cycles, best first. A device that cannot draw is passed over.

    Raises:
        RuntimeError: no device can draw.
    """
    *others, last = devices
    for device in others:
        with suppress(RuntimeError, ValueError):
            return _rates(device)
    return _rates(last)


def _rates(device: str) -> dict[str, float]:
    from render.blender.stage import Stage

    rates = {}
    for quality, edge, count in _TRIALS:
        stage = Stage(edge, find_quality(quality), device, processors())
        frames = [frame(row, "wrapped") for row in to_physical(sample_raw(0, "test", count + 1))]
        seconds = []
        for each in frames:
            start = time.perf_counter()
            stage.draw(each)
            seconds.append(time.perf_counter() - start)
        rates[f"{edge} px {quality} on {device}"] = float(1 / np.mean(seconds[1:]))
    return rates
