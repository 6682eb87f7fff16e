"""Measures every quality: ``python -m render.measure``.

Renders a fixed set of latents at each quality and compares the images with references of 4096
samples, without denoiser and with another seed, which are made once and kept. Prints PSNR, SSIM
and largest error, images per second, and peak memory; draws the same. Rates leave out a
worker's start; the fast qualities run before and after the slow one, since machines drift.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from render.executors.executor import Local, crew
from render.fidelity import Fidelity, compare
from render.jobs.job import Request, render_dataset
from render.options import DEVICE, RESOLUTION, resolve
from render.settings import QUALITIES, rendering, require_blender
from render.workers.chunk import Report
from threedident.cli import run
from threedident.latents.sampling import check_raw, sample_raw
from threedident.runtime.files import load_npy, spell_bytes, write_bytes
from threedident.storage.folder import SplitFolder
from threedident.storage.origin import Origin, rows_digest

Image8 = NDArray[np.uint8]

_REFERENCE, _AGAIN = "reference", "paper-again"
_PASSES = {"paper": 1, "standard": 8, "draft": 16}  # times over the latents, for a steady rate


@dataclass(frozen=True)
class Measurement:
    """What one quality costs and gives.

    Arguments:
        quality: its name.
        images: what it drew.
        fidelity: of every image.
        images_per_s: of one worker with all threads, without its start.
        first_peak_bytes: peak memory of a worker after its first image.
        peak_bytes: peak memory of a worker after its last.
    """

    quality: str
    images: tuple[Image8, ...]
    fidelity: tuple[Fidelity, ...]
    images_per_s: float
    first_peak_bytes: int
    peak_bytes: int

    @property
    def psnr(self) -> tuple[float, float]:
        """Mean and worst."""
        values = [fidelity.psnr for fidelity in self.fidelity]
        return float(np.mean(values)), min(values)

    def to_json(self) -> dict[str, Any]:
        """All but the images."""
        return {name: value for name, value in asdict(self).items() if name != "images"}


@dataclass(frozen=True)
class _Studio:
    """Renders fixed rows at any quality."""

    rows: NDArray[np.float32]
    resolution: int
    device: str
    gpus: int

    def draw(self, quality: str, root: Path, passes: int = 1) -> tuple[list[Image8], list[Report]]:
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
        with tempfile.TemporaryDirectory() as scratch:
            return self.draw(quality, Path(scratch), _PASSES.get(quality, 1))

    def draw_once(self, quality: str, cache: Path) -> list[Image8]:
        fingerprint = rendering(self.resolution, quality, self.device).fingerprint
        name = f"{quality}-{self.resolution}-{fingerprint}-{rows_digest(self.rows)}"
        return self.draw(quality, cache / name)[0]


def measure(studio: _Studio, references: list[Image8]) -> list[Measurement]:
    """Every quality against references of the same rows."""
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


def table(found: Iterable[Measurement]) -> Table:
    """The measurements for a terminal; the last column counts in images of ``paper``."""
    rows = {measurement.quality: measurement for measurement in found}
    drawn = Table()
    for title in ("quality", "PSNR", "worst", "SSIM", "largest error", "images/s", "memory", "x"):
        drawn.add_column(title, justify="left" if title == "quality" else "right")
    for name, it in rows.items():
        drawn.add_row(
            name,
            f"{it.psnr[0]:.2f} dB",
            f"{it.psnr[1]:.2f} dB",
            f"{np.mean([f.ssim for f in it.fidelity]):.4f}",
            str(max(f.largest_error for f in it.fidelity)),
            f"{it.images_per_s:.3g}",
            f"{spell_bytes(it.first_peak_bytes)} to {spell_bytes(it.peak_bytes)}",
            f"{it.images_per_s / rows['paper'].images_per_s:.1f}",
        )
    return drawn


@click.command(context_settings={"show_default": True})
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("data/measure"),
    help="Folder of references and results.",
)
@click.option("--count", type=click.IntRange(1, 1000), default=6, help="Latents to render.")
@click.option("--latents", type=click.Path(path_type=Path), help="Rows to render (npy, N x 10).")
@click.option("--again/--no-again", default=False, help="Render paper with two seeds, too.")
@RESOLUTION
@DEVICE
def main(
    out: Path, count: int, latents: Path | None, again: bool, resolution: int, device: str
) -> None:
    """Measure fidelity, speed and memory of every quality.

    References of 4096 samples are made at the first run and kept below --out; at 224 pixels one
    takes about two and a half minutes on two cores.

    \b
    Example:
        python -m render.measure --count 6
    """
    from render.figures import qualities_figure

    require_blender()
    rows = sample_raw(0, "test", count)
    if latents is not None:
        rows = check_raw(load_npy(latents), str(latents))
    device, gpus = resolve(device)
    studio = _Studio(rows, resolution, device, gpus)
    references = studio.draw_once(_REFERENCE, out)
    found = measure(studio, references)
    Console().print(table(found))
    if again:
        paper = next(measurement for measurement in found if measurement.quality == "paper")
        others = zip(paper.images, studio.draw_once(_AGAIN, out), strict=True)
        noise = np.mean([compare(image, other).psnr for image, other in others])
        click.echo(f"two paper renders of different seeds: {noise:.2f} dB")
    records = [measurement.to_json() for measurement in found]
    write_bytes(out / "measure.json", json.dumps(records, indent=2).encode())
    write_bytes(out / "measure.png", qualities_figure(found, references[0]))
    click.echo(f"{out / 'measure.png'}: the same as a figure")


if __name__ == "__main__":
    run(main, "python -m render.measure")
