"""The command ``python -m render.measure``, which measures every quality.

It renders a fixed set of latents at each quality and compares the images with references. The
references have 4096 samples, no denoiser and another seed. They are rendered once and kept. The
command prints PSNR, SSIM, largest error, images per second and peak memory, and draws them in a
figure. Rates do not include the start of a worker. The fast qualities run before and after the
slow one, because the speed of a machine drifts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from render.measure.fidelity import compare
from render.measure.measurement import Measurement, Studio, measure
from render.options import DEVICE, RESOLUTION, resolve
from render.settings import require_blender
from threedident.cli import run
from threedident.latents.sampling import check_raw, sample_raw
from threedident.runtime.files import load_npy, spell_bytes, write_bytes
from threedident.runtime.packages import require_extra

_REFERENCE, _AGAIN = "reference", "paper-again"


def table(found: Iterable[Measurement]) -> Table:
    """The measurements as a table. The last column is the speed relative to ``paper``."""
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
    help="Folder for references and results.",
)
@click.option("--count", type=click.IntRange(1, 1000), default=6, help="Latents to render.")
@click.option("--latents", type=click.Path(path_type=Path), help="Rows to render (npy, N x 10).")
@click.option("--again/--no-again", default=False, help="Also render paper with a second seed.")
@RESOLUTION
@DEVICE
def main(
    out: Path, count: int, latents: Path | None, again: bool, resolution: int, device: str
) -> None:
    """Measure fidelity, speed and memory of every quality.

    The first run renders references of 4096 samples and keeps them below --out. At 224 pixels
    one reference takes about two and a half minutes on two cores.

    \b
    Example:
        python -m render.measure --count 6
    """
    from render.measure.figure import qualities_figure

    require_blender()
    require_extra("render.measure", "measure", "skimage")
    rows = sample_raw(0, "test", count)
    if latents is not None:
        rows = check_raw(load_npy(latents), str(latents))
    device, gpus = resolve(device)
    studio = Studio(rows, resolution, device, gpus)
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
    click.echo(f"{out / 'measure.png'}: the measurements as a figure")


if __name__ == "__main__":
    run(main, "python -m render.measure")
