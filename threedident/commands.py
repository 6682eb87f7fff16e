"""The commands that look at a data set: ``verify`` and ``info``."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from threedident.latents import SPLITS
from threedident.manifest import Manifest, missing_manifest, require_alike, require_manifest
from threedident.progress import progress
from threedident.storage import SplitFolder
from threedident.verify import verify_split

_DATA = click.argument("data", type=click.Path(path_type=Path))


@click.command()
@_DATA
def verify(data: Path) -> None:
    """Read every file of a data set and name each that is missing, truncated or altered.

    \b
    Example:
        threedident verify data/3dident
    """
    folders = _splits(data)
    manifests = [require_manifest(folder) for folder in folders]
    require_alike(manifests)
    bad = 0
    for folder, manifest in zip(folders, manifests, strict=True):
        with progress(f"verify {folder.split}", manifest.n, "images") as advance:
            problems = verify_split(folder, advance)
        for problem in problems:
            click.echo(f"{problem.path}: {problem.what}")
        if not problems:
            click.echo(f"{folder.path}: {manifest.n} images, all intact")
        bad += len(problems)
    if bad:
        raise ValueError(
            f"{data}: expected every file intact, found {bad} bad, named above; the same "
            "render command again repairs them"
        )


@click.command()
@_DATA
def info(data: Path) -> None:
    """Show what a data set is and how it was rendered.

    \b
    Example:
        threedident info data/3dident
    """
    manifests = [require_manifest(folder) for folder in _splits(data)]
    table = Table(title=Text(str(data)))
    table.add_column("")
    for manifest in manifests:
        table.add_column(manifest.split)
    rows = [_facts(manifest) for manifest in manifests]
    for name in rows[0]:
        table.add_row(name, *(row[name] for row in rows))
    Console().print(table)


def _facts(manifest: Manifest) -> dict[str, str]:
    rendering, origin = manifest.rendering, manifest.origin
    return {
        "images": str(manifest.n),
        "resolution": f"{rendering.resolution} x {rendering.resolution}",
        "latent space": f"{origin.space}, {len(manifest.factors)} factors",
        "factors": " ".join(factor.name for factor in manifest.factors),
        "latents from": f"seed {origin.seed}" if origin.rows is None else f"rows {origin.rows}",
        "hue mode": rendering.hue_mode,
        "quality": rendering.quality,
        "renderer": f"Blender {rendering.blender} on {rendering.device}",
        "fingerprint": rendering.fingerprint,
        "channel mean": " ".join(f"{value:.4f}" for value in manifest.channel_mean),
        "channel std": " ".join(f"{value:.4f}" for value in manifest.channel_std),
    }


def _splits(data: Path) -> list[SplitFolder]:
    """The splits that are there.

    Raises:
        ValueError: there are none.
    """
    folders = [SplitFolder(data, split) for split in SPLITS]
    present = [folder for folder in folders if folder.path.is_dir()]
    if not present:
        raise ValueError(missing_manifest(folders[0]))
    return present
