"""Commands that exchange data sets: ``export`` and ``download``."""

from __future__ import annotations

from pathlib import Path

import click

from threedident.exchange import published
from threedident.latents.sampling import SPLITS
from threedident.options import Choice
from threedident.runtime.errors import Interrupted
from threedident.storage.folder import MOST_ROWS

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("data", type=_FOLDER)
@click.argument("out", type=_FOLDER)
@click.option(
    "--layout",
    type=Choice(["published", "webdataset"]),
    required=True,
    help="published: files as in the published archive. webdataset: tar files to stream.",
)
@click.option(
    "--shard-size",
    type=click.IntRange(1, MOST_ROWS),
    default=None,
    help="Images per tar file, for webdataset [default: 10000].",
)
def export(data: Path, out: Path, layout: str, shard_size: int | None) -> None:
    """Write a data set in a layout that other tools read.

    If OUT and DATA lie on the same disk, the published layout consists of hard links and takes
    no space. After an interruption, the same command continues.

    \b
    Examples:
        threedident export data/3dident data/published --layout published
        threedident export data/3dident data/shards --layout webdataset --shard-size 5000
    """
    if layout == "published" and shard_size is not None:
        raise ValueError(
            "--shard-size: expected with --layout webdataset, found with published; leave it out"
        )
    try:
        lines = _export(data, out, layout, shard_size)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the same command again goes on from there") from None
    click.echo("\n".join(lines))


def _export(data: Path, out: Path, layout: str, shard_size: int | None) -> list[str]:
    from threedident.exchange.published import export_published
    from threedident.exchange.webdataset import SHARD_SIZE, export_shards

    if layout == "published":
        return export_published(data, out)
    return export_shards(data, out, shard_size or SHARD_SIZE)


@click.command()
@click.argument("data", type=_FOLDER)
@click.option(
    "--split",
    "splits",
    type=Choice(list(SPLITS)),
    multiple=True,
    default=SPLITS,
    help="Split to fetch; may be given twice.",
)
@click.option(
    "--url",
    default=published.ADDRESS,
    metavar="BASE",
    help="Address of the folder of the archives, such as that of a mirror.",
)
def download(data: Path, splits: tuple[str, ...], url: str) -> None:
    """Fetch the published data set.

    Received bytes are kept in DATA/.download until a split is complete. After an interruption,
    the same command fetches only the rest. Archives are checked against their digests, unpacked,
    and removed.

    \b
    Examples:
        threedident download data/published
        threedident download data/published --split test
    """
    from threedident.exchange.download import download as fetch_all

    archives = [archive for archive in published.ARCHIVES if archive.split in splits]
    for line in fetch_all(data, archives, url):
        click.echo(line)
