"""The commands that hand a data set on: ``export`` and ``download``."""

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
    help="Images a tar file, for webdataset [default: 10000].",
)
def export(data: Path, out: Path, layout: str, shard_size: int | None) -> None:
    """Lay a data set out for other people's readers.

    The published layout takes no room where OUT lies on the disk of DATA: its files are hard
    links. Given again after an interruption, the command goes on.

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
    help="What to fetch; may be given again.",
)
@click.option(
    "--url",
    default=published.ADDRESS,
    metavar="BASE",
    help="Address below which the archives lie, such as that of a mirror.",
)
def download(data: Path, splits: tuple[str, ...], url: str) -> None:
    """Fetch the published data set.

    What has come in stays in DATA/.download until a split is whole; given again after an
    interruption, the command asks for the rest. Digests are checked, then the archives are
    unpacked and removed.

    \b
    Examples:
        threedident download data/published
        threedident download data/published --split test
    """
    from threedident.exchange.download import download as fetch_all

    archives = [archive for archive in published.ARCHIVES if archive.split in splits]
    for line in fetch_all(data, archives, url):
        click.echo(line)
