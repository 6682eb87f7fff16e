"""Commands for an existing data set: ``verify``, ``info``, ``preview`` and ``pack``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from threedident.dataset.pack import pack_states
from threedident.latents.sampling import SPLITS
from threedident.options import Choice, NewFile, Seed
from threedident.runtime.files import require_room
from threedident.runtime.progress import progress
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import (
    MOST_PIXELS,
    Manifest,
    missing_manifest,
    require_alike,
    require_manifest,
)
from threedident.storage.verify import verify_split

_DATA = click.argument("data", type=click.Path(path_type=Path))


@click.command()
@_DATA
@click.option("--deep", is_flag=True, help="Read, decode and digest every picture.")
def verify(data: Path, deep: bool) -> None:
    """Name every file of a data set that is missing, truncated or altered.

    The fast check looks at each picture's size, header and last bytes; --deep reads all of it.

    \b
    Examples:
        threedident verify data/3dident
        threedident verify --deep data/3dident
    """
    folders = _splits(data)
    manifests = [require_manifest(folder) for folder in folders]
    require_alike(manifests)
    bad, restore, packs = 0, "", 0
    for folder, manifest in zip(folders, manifests, strict=True):
        pictures = manifest.n * (1 + len(manifest.rendering.annotations))
        with progress(f"verify {folder.path.relative_to(data)}", pictures, "pictures") as advance:
            problems = verify_split(folder, deep, advance)
        for problem in problems:
            click.echo(f"{problem.path}: {problem.what}")
            if problem.path == folder.manifest:
                restore = f"restore {problem.path} from a copy first; "
        if not problems:
            how = "all intact" if deep else "all there and whole; --deep reads every byte"
            click.echo(f"{folder.path}: {manifest.n} images, {how}")
        bad += len(problems)
        for path, what in pack_states(folder, manifest, deep):
            if what is not None:
                packs += 1
                click.echo(f"{path}: {what}")
    if packs and not bad:
        raise ValueError(
            f"{data}: expected intact packs of these images, found {packs} bad, named above; "
            "threedident pack writes them again"
        )
    if bad:
        raise ValueError(
            f"{data}: expected every file intact, found {bad} bad, named above; {restore}the same "
            "render command again repairs them"
        )


@click.command()
@_DATA
def info(data: Path) -> None:
    """Show origin, render settings and statistics of a data set.

    \b
    Example:
        threedident info data/3dident
    """
    manifests = [require_manifest(folder) for folder in _splits(data)]
    table = Table(title=Text(str(data)))
    table.add_column("")
    for manifest in manifests:
        table.add_column(_title(manifest))
    rows = [_facts(manifest) for manifest in manifests]
    for name in rows[0]:
        table.add_row(name, *(row[name] for row in rows))
    Console(markup=False, emoji=False).print(table)


@click.command()
@_DATA
@click.option(
    "--out",
    type=NewFile(),
    default=None,
    help="The PNG to write [default: DATA/preview.png].",
)
@click.option(
    "--split", type=Choice(list(SPLITS)), default="train", help="Split to draw samples of."
)
@click.option("--count", type=click.IntRange(1, 400), default=24, help="Samples to draw.")
@click.option("--seed", type=Seed(), default=0, help="Seed of the random choice of samples.")
def preview(data: Path, out: Path | None, split: str, count: int, seed: int) -> None:
    """Draw a sheet of random samples, each with its latents as bars and its positive beside it.

    \b
    Example:
        threedident preview data/3dident
    """
    from threedident.preview import contact_sheet

    out = data / "preview.png" if out is None else out
    drawn = contact_sheet(data, split, count, seed, out)
    click.echo(f"{out}: {drawn} samples of {data / split}")


@click.command()
@_DATA
@click.option(
    "--resolution",
    type=click.IntRange(1, MOST_PIXELS),
    default=None,
    help="Edge of the packed images in pixels [default: that of the images].",
)
def pack(data: Path, resolution: int | None) -> None:
    """Put all images of each split into one file, which training reads fast.

    The same command again continues a stopped run. ThreeDIdent uses a pack if there is one.

    \b
    Examples:
        threedident pack data/3dident
        threedident pack data/3dident --resolution 64
    """
    from threedident.dataset.packing import Packing

    works = [Packing(folder, resolution) for folder in _splits(data)]
    needed = sum(work.missing_bytes() for work in works)
    require_room(data, needed, "for the packs", "free some space, or give a lower --resolution")
    for work in works:
        title = f"pack {work.folder.path.relative_to(data)}"
        with progress(title, work.n, "images") as advance:
            work.run(advance, advance.skip)
        click.echo(f"{work.files.pixels}: {work.n} images of {work.files.resolution} pixels")


def _title(manifest: Manifest) -> str:
    split = manifest.origin.split
    return split if manifest.split == split else f"{split}/{manifest.split}"


def _facts(manifest: Manifest) -> dict[str, str]:
    rendering, origin = manifest.rendering, manifest.origin
    return {
        "images": str(manifest.n),
        "resolution": f"{rendering.resolution} x {rendering.resolution}",
        "latent space": f"{origin.space}, {len(manifest.factors)} factors",
        "factors": " ".join(factor.name for factor in manifest.factors),
        "fixed": " ".join(f"{name}={value:g}" for name, value in origin.fixed.items()) or "none",
        "latents from": f"seed {origin.seed}" if origin.rows is None else f"rows {origin.rows}",
        "conditional": origin.conditional or "none",
        "hue mode": rendering.hue_mode,
        "material": rendering.material,
        "annotations": " ".join(rendering.annotations) or "none",
        "quality": rendering.quality,
        "renderer": f"Blender {rendering.blender} on {rendering.device}",
        "fingerprint": rendering.fingerprint,
        "channel mean": " ".join(f"{value:.4f}" for value in manifest.channel_mean),
        "channel std": " ".join(f"{value:.4f}" for value in manifest.channel_std),
    }


def _splits(data: Path) -> list[SplitFolder]:
    """The splits that exist in a data set's folder.

    Raises:
        ValueError: no split exists.
    """
    folders = [SplitFolder(data, split) for split in SPLITS]
    places = [place for folder in folders for place in (folder, folder.positives)]
    present = [place for place in places if place.path.is_dir()]
    if not present:
        raise ValueError(missing_manifest(folders[0]))
    return present
