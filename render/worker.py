"""One process, one chunk: ``python -m render.worker SPLIT --indices 0-63,70 --threads 2``.

A worker speaks to its parent in JSON lines on standard output: ``{"done": index}`` after each
image, ``{"error": text}`` before it gives up. ``python -m render.worker devices`` prints the
devices that Cycles has here instead.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TextIO

from PIL import Image

from render.journal import append, open_journal, record_of
from render.plan import open_plan
from render.scene import frame
from render.settings import QUALITIES
from threedident.errors import explain
from threedident.latents import to_physical
from threedident.machine import die_with
from threedident.storage import SplitFolder, write_bytes


def spell_indices(indices: list[int]) -> str:
    """Sorted indices as ranges: [0, 1, 2, 5] is ``0-2,5``."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def parse_indices(text: str) -> list[int]:
    """The inverse of :func:`spell_indices`."""
    runs = [[int(end) for end in part.split("-")] for part in text.split(",")]
    return [index for run in runs for index in range(run[0], run[-1] + 1)]


def render_chunk(folder: SplitFolder, indices: list[int], threads: int, channel: TextIO) -> None:
    """Render rows of a planned split, each whole on disk and in the journal before the next."""
    from render.blender import Stage

    plan, raw = open_plan(folder)
    physical, settings = to_physical(raw), plan.rendering
    quality = QUALITIES[settings.quality]
    with (
        tempfile.TemporaryDirectory(dir=folder.scratch) as scratch,
        open_journal(folder) as journal,
    ):
        stage = Stage(settings.resolution, quality, settings.device, threads, Path(scratch))
        for index in indices:
            image = stage.draw(frame(physical[index], settings.hue_mode))
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, format="PNG")
            write_bytes(folder.image(index), buffer.getvalue())
            append(journal, record_of(index, image, buffer.getvalue()))
            _say(channel, done=index)


def _say(channel: TextIO, **message: object) -> None:
    channel.write(json.dumps(message) + "\n")
    channel.flush()


def _private_channel() -> TextIO:
    """Standard output for our messages alone; what Blender prints goes nowhere."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return channel


def _explain(error: Exception) -> str:
    if isinstance(error, OSError):
        return explain(error)
    if isinstance(error, ImportError):
        return f"bpy cannot be loaded: {error}; python -m render.libraries names missing packages"
    return " ".join(str(error).split())


def main() -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="render.worker", description=__doc__)
    parser.add_argument("split", type=Path, help="folder of the split, or the word devices")
    parser.add_argument("--indices", type=parse_indices, default=[])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parent", type=int, help="process without which to end")
    arguments = parser.parse_args()
    if arguments.parent is not None:
        die_with(arguments.parent)
    channel = _private_channel()
    try:
        if str(arguments.split) == "devices":
            from render.blender import available_devices

            _say(channel, devices=available_devices())
        else:
            folder = SplitFolder(arguments.split.parent, arguments.split.name)
            render_chunk(folder, arguments.indices, arguments.threads, channel)
    except (OSError, ImportError, ValueError) as error:
        _say(channel, error=_explain(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
