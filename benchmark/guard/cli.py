"""The command ``threedident benchmark guard``."""

from __future__ import annotations

from pathlib import Path

import click

from threedident.latents.sampling import SPLITS
from threedident.options import Choice, NewFile, Seed

_USUAL = 10_000
_LEAST = 200
_MOST = 1_000_000


@click.command(
    short_help="Show what every metric says of synthetic encoders.",
    context_settings={"show_default": True},
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of a data set, whose latents the encoders read [default: uniform latents].",
)
@click.option("--split", type=Choice(list(SPLITS)), default="test", help="Split of the data set.")
@click.option(
    "--n",
    "rows",
    type=click.IntRange(_LEAST, _MOST),
    help=f"Number of latents [default: {_USUAL}, or all of the split if it has fewer].",
)
@click.option(
    "--factors",
    type=click.IntRange(2, 100),
    help="Number of uniform latents without a data set [default: 10].",
)
@click.option("--seed", type=Seed(), default=0, help="Seed of latents, encoders and metrics.")
@click.option("--csv", "table", type=NewFile(), help="Also write the table to this file.")
@click.option("--picture", type=NewFile(), help="Draw a heat map into this PNG or SVG file.")
def guard(
    data: Path | None,
    split: str,
    rows: int | None,
    factors: int | None,
    seed: int,
    table: Path | None,
    picture: Path | None,
) -> None:
    """Show what every metric says of ten synthetic encoders, whose structure is known.

    The encoders are functions of the latents of a data set, or of uniform latents. Nothing is
    trained. For 10,000 latents it takes about 90 seconds of one core.

    \b
    Examples:
        threedident benchmark guard
        threedident benchmark guard --data data/3dident --csv guard.csv --picture guard.png
    """
    import numpy as np

    from benchmark.guard.figure import heat_map
    from benchmark.guard.judge import as_csv, judge, show
    from threedident.dataset.split import ThreeDIdent
    from threedident.runtime.files import write_bytes

    if picture is not None and picture.suffix not in (".png", ".svg"):
        raise ValueError(
            f"--picture: expected a name that ends in .png or .svg, found {picture}; change it"
        )
    if data is None:
        latents = np.random.default_rng(seed).uniform(-1, 1, (rows or _USUAL, factors or 10))
        origin = "uniform latents"
    else:
        if factors is not None:
            raise ValueError("--factors: expected no --data beside it, found both; leave one out")
        held = np.asarray(ThreeDIdent(data, split).latents, dtype=np.float64)
        wanted = min(_USUAL, len(held)) if rows is None else rows
        if not _LEAST <= wanted <= len(held):
            raise ValueError(
                f"--n: expected {_LEAST} to {len(held)} rows of {data / split}, found {wanted}; "
                "give another number, or a larger data set"
            )
        latents, origin = held[:wanted], f"latents of {data / split}"
    click.echo(f"{len(latents)} {origin}, {latents.shape[1]} factors")
    verdicts = judge(latents, seed=seed, say=lambda name: click.echo(f"  {name}", err=True))
    show(verdicts)
    if table is not None:
        write_bytes(table, as_csv(verdicts).encode())
    if picture is not None:
        title = f"Scores of ten synthetic encoders, {len(latents)} {origin}"
        write_bytes(picture, heat_map(verdicts, title, picture.suffix[1:]))
        click.echo(f"picture: {picture}")
