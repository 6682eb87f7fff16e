"""Measurements of every quality: speed, memory, and fidelity to reference images."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from render.executors.executor import Local, crew
from render.jobs.job import Request, render_dataset
from render.measure.fidelity import Fidelity, compare
from render.settings import QUALITIES, rendering
from render.workers.chunk import Report
from threedident.storage.folder import SplitFolder
from threedident.storage.origin import Origin, rows_digest

Image8 = NDArray[np.uint8]
_PASSES = {"paper": 1, "standard": 8, "draft": 16}  # repetitions of the latents, for a stable rate


@dataclass(frozen=True)
class Measurement:
    """Speed, memory and fidelity of one quality.

    Arguments:
        quality: name of the quality.
        images: the rendered images.
        fidelity: fidelity of every image to its reference.
        images_per_s: rate of one worker with all threads, without its start.
        first_peak_bytes: peak memory of a worker after its first image, in bytes.
        peak_bytes: peak memory of a worker after its last image, in bytes.
    """

    quality: str
    images: tuple[Image8, ...]
    fidelity: tuple[Fidelity, ...]
    images_per_s: float
    first_peak_bytes: int
    peak_bytes: int

    @property
    def psnr(self) -> tuple[float, float]:
        """Mean and lowest PSNR over the images, in dB."""
        values = [fidelity.psnr for fidelity in self.fidelity]
        return float(np.mean(values)), min(values)

    def to_json(self) -> dict[str, Any]:
        """The measurement without its images, as a JSON object."""
        return {name: value for name, value in asdict(self).items() if name != "images"}


@dataclass(frozen=True)
class Studio:
    """Renderer of fixed rows at any quality.

    Arguments:
        rows: raw latents, shape (N, 10).
        resolution: edge of the images in pixels.
        device: device to render on.
        gpus: number of GPUs.
    """

    rows: NDArray[np.float32]
    resolution: int
    device: str
    gpus: int

    def draw(self, quality: str, root: Path, passes: int = 1) -> tuple[list[Image8], list[Report]]:
        """Images of the rows, rendered below ``root``, and the reports of the workers.

        Arguments:
            quality: name of the quality.
            root: folder of the rendered data set.
            passes: number of times that each row is rendered.
        """
        rows = np.tile(self.rows, (passes, 1))
        folder = SplitFolder(root, "train")
        request = Request(folder, len(rows), Origin(split="train", rows=rows_digest(rows)), rows)
        settings = rendering(self.resolution, quality, self.device)
        alone = Local(crew(1, self.gpus))
        name = f"quality {quality}"
        outcomes = render_dataset(root, [request], settings, lambda _: alone, name)
        images = [np.asarray(Image.open(folder.image(i))) for i in range(len(self.rows))]
        return images, [report for outcome in outcomes for report in outcome.reports]

    def draw_afresh(self, quality: str) -> tuple[list[Image8], list[Report]]:
        """Like :meth:`draw`, in a temporary folder, with repetitions for a stable rate."""
        with tempfile.TemporaryDirectory() as scratch:
            return self.draw(quality, Path(scratch), _PASSES.get(quality, 1))

    def draw_once(self, quality: str, cache: Path) -> list[Image8]:
        """Images of the rows, which are kept below ``cache`` for later runs."""
        fingerprint = rendering(self.resolution, quality, self.device).fingerprint
        name = f"{quality}-{self.resolution}-{fingerprint}-{rows_digest(self.rows)}"
        return self.draw(quality, cache / name)[0]


def measure(studio: Studio, references: list[Image8]) -> list[Measurement]:
    """Measurements of every quality, with references of the same rows."""
    fast = [name for name in QUALITIES if name != "paper"]
    images: dict[str, list[Image8]] = {}
    reports: dict[str, list[Report]] = {name: [] for name in QUALITIES}
    for name in (*fast, "paper", *fast):
        images[name], new = studio.draw_afresh(name)
        reports[name] += new
    return [_measurement(name, images[name], references, reports[name]) for name in QUALITIES]


def _measurement(
    quality: str, images: list[Image8], references: list[Image8], reports: list[Report]
) -> Measurement:
    return Measurement(
        quality=quality,
        images=tuple(images),
        fidelity=tuple(compare(a, b) for a, b in zip(images, references, strict=True)),
        images_per_s=sum(r.images for r in reports) / sum(r.seconds for r in reports),
        first_peak_bytes=max(r.first_peak_bytes for r in reports),
        peak_bytes=max(r.peak_bytes for r in reports),
    )
