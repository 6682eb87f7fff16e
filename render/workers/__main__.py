"""Worker that renders one chunk: ``python -m render.workers SPLIT --indices 0-63,70 --threads 2``.

Each row is completely written to disk and to the journal before the next begins. Rows that an
earlier worker of the same chunk finished are skipped, so a chunk can be started again. The last
line on standard output is a JSON report. It is ``{"error": text}`` if every other worker would
fail too. ``python -m render.workers devices`` prints the devices that Cycles can use instead, and
``trial`` also the images per second of a few frames on the best one.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from PIL import Image

from render.scene.frame import frame
from render.settings import find_quality
from render.workers.chunk import Chunk, Report, parse_indices
from render.workers.journal import RowRecord, append, open_journal, read_journals, record_of
from render.workers.leases import Fence
from render.workers.plan import open_plan
from render.workers.trial import images_a_second
from threedident.dataset.annotations import annotation_picture
from threedident.latents.sampling import to_physical
from threedident.runtime.errors import explain
from threedident.runtime.files import write_bytes
from threedident.runtime.machine import peak_bytes
from threedident.storage.folder import SplitFolder
from threedident.storage.verify import picture_state

if TYPE_CHECKING:
    from render.blender.stage import Stage


@dataclass(frozen=True)
class _Orders:
    chunk: Chunk
    lease: Path | None
    gpu: int | None


def _render_chunk(orders: _Orders) -> Report:
    from render.blender.stage import Stage

    folder = orders.chunk.folder
    plan, raw = open_plan(folder)
    if orders.chunk.indices[-1] >= len(raw):
        raise ValueError(
            f"{folder.path}: expected latents of row {orders.chunk.indices[-1]}, found {len(raw)} "
            "rows; give the render command again"
        )
    settings, physical = plan.rendering, to_physical(raw, plan.origin.space)
    finished = _finished(folder, orders.chunk, settings.annotations)
    with open_journal(folder, orders.chunk.name) as journal:
        stage = Stage(
            settings.resolution,
            find_quality(settings.quality),
            settings.device,
            orders.chunk.threads,
            material=settings.material,
            annotations=bool(settings.annotations),
            gpu=orders.gpu,
        )
        fence = Fence(orders.lease) if orders.lease is not None else None
        start, peaks = time.monotonic(), list[int]()
        for index in orders.chunk.indices:
            if index in finished:
                continue
            built = frame(physical[index], settings.hue_mode)
            contents, record = _draw(stage, index, built, settings.annotations)
            if fence is not None:
                fence.check()
            pictures = folder.pictures(index, settings.annotations)
            for path, content in zip(pictures, contents, strict=True):
                write_bytes(path, content)
            append(journal, record)
            peaks.append(peak_bytes())
    return Report(
        images=len(peaks),
        seconds=time.monotonic() - start,
        first_peak_bytes=peaks[0] if peaks else 0,
        peak_bytes=peak_bytes(),
    )


def _draw(
    stage: Stage, index: int, built: Any, annotations: tuple[str, ...]
) -> tuple[list[bytes], RowRecord]:
    image = stage.draw(built)
    pictures = [Image.fromarray(image)]
    if annotations:
        labels, depths = stage.annotate()
        pictures += [annotation_picture(name, labels, depths) for name in annotations]
    contents = [_png(picture) for picture in pictures]
    return contents, record_of(index, image, contents)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _finished(folder: SplitFolder, chunk: Chunk, annotations: tuple[str, ...]) -> set[int]:
    """Rows that an earlier worker of this chunk finished and whose pictures are intact."""
    records = read_journals(folder, annotations, chunk.name).values()
    return {record.index for record in records if _intact(folder, record, annotations)}


def _intact(folder: SplitFolder, record: RowRecord, annotations: tuple[str, ...]) -> bool:
    pictures = folder.pictures(record.index, annotations)
    return len(pictures) == len(record.digests) and not any(
        picture_state(path, digest) for path, digest in zip(pictures, record.digests, strict=True)
    )


def _private_channel() -> TextIO:
    """Standard output for our message only; Blender's output is redirected to standard error."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return channel


def _explain(error: Exception) -> str:
    if isinstance(error, OSError):
        return explain(error)
    if isinstance(error, ImportError) and "failed to map" in str(error):
        return f"bpy cannot be loaded, as happens when memory runs out: {error}; raise its limit"
    if isinstance(error, ImportError):
        return f"bpy cannot be loaded: {error}; python -m render.libraries names missing packages"
    return " ".join(str(error).split())


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="render.workers", description=__doc__)
    parser.add_argument("split", type=Path, help="folder of the split, or devices, or trial")
    parser.add_argument("--indices", type=parse_indices, default=(), help="rows, as 0-63,70")
    parser.add_argument("--threads", type=int, default=1, help="processor threads; by default 1")
    parser.add_argument("--gpu", type=int, help="number of the GPU to use; by default all")
    parser.add_argument("--lease", type=Path, help="lease; the worker ends when it is lost")
    return parser.parse_args()


def _devices() -> dict[str, int]:
    from render.blender.film import available_devices

    return available_devices()


def main() -> int:
    """Run the command line, and return the exit status."""
    arguments = _parse()
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # a queue's warning; the parent handles it
    channel, status = _private_channel(), 0
    message: dict[str, Any]
    try:
        if str(arguments.split) in ("devices", "trial"):
            message = {"devices": (found := _devices())}
            if str(arguments.split) == "trial":
                message["rates"] = images_a_second(found)
        else:
            chunk = Chunk(arguments.split, arguments.indices, arguments.threads)
            message = asdict(_render_chunk(_Orders(chunk, arguments.lease, arguments.gpu)))
    except (OSError, ImportError, ValueError) as error:
        message, status = {"error": _explain(error)}, 1
    channel.write(json.dumps(message) + "\n")
    channel.flush()
    return status


if __name__ == "__main__":
    sys.exit(main())
