"""The command ``leaderboard``, with one of its own for every step from a run to the page."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.table import Table

from benchmark.leaderboard.sandbox import Limits, require_packages
from threedident.progress import progress

if TYPE_CHECKING:
    from benchmark.leaderboard.check import Checked
    from benchmark.leaderboard.entry import SeedScores

_Command = TypeVar("_Command", bound=Callable[..., Any])
_FOLDER = click.argument("folder", type=click.Path(path_type=Path))
_BOARD = click.option(
    "--board",
    type=click.Path(path_type=Path),
    help="Folder of entries and seasons [default: the project's own].",
)
_TIME = click.option(
    "--time-limit", type=click.IntRange(1), default=600, help="Seconds for each encoder."
)
_MEMORY = click.option(
    "--memory-limit", type=click.FloatRange(0.1), default=4.0, help="GiB for each encoder."
)
_SECRET = click.option("--seed", "secret", required=True, metavar="SECRET", help="Of the season.")


def _limits(seconds: int, gibibytes: float) -> Limits:
    return Limits(seconds, int(gibibytes * 2**30))


@click.group(context_settings={"show_default": True})
def leaderboard() -> None:
    """Keep a leaderboard whose encoders are scored again on images nobody has seen.

    \b
    Example:
        threedident leaderboard submit runs/mine --method "My method"
        threedident leaderboard check submissions/2027-01-31_my-method
    """
    require_packages("onnx", "onnxruntime", "cryptography")


@leaderboard.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--method", required=True, help="Its name on the page.")
@click.option("--data", type=click.Path(path_type=Path), default=Path("data/3dident"))
@click.option("--paper", metavar="URL", help="Where it is described.")
@click.option("--code", metavar="URL", help="Where it can be had.")
@click.option("--licence", metavar="SPDX", help="Of encoder and representations, such as MIT.")
@click.option("--submitter", metavar="NAME", help="Who answers for it.")
@click.option("--external-data", is_flag=True, help="Training saw other images, too.")
@click.option("--pretrained", is_flag=True, help="It began with weights from elsewhere.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("submissions"))
@_TIME
@_MEMORY
def submit(
    runs: tuple[Path, ...],
    data: Path,
    out: Path,
    time_limit: int,
    memory_limit: float,
    **facts: Any,
) -> None:
    """Make the folder of a submission from finished runs of the seeds 0, 1 and 2.

    \b
    Examples:
        threedident leaderboard submit runs/mine --method "My method" --licence MIT
        threedident leaderboard submit runs/a runs/b --data data/small --method "My method"
    """
    from benchmark.leaderboard.submission import read_facts
    from benchmark.leaderboard.submit import gather
    from benchmark.leaderboard.submit import submit as write

    require_packages("onnxscript")
    known = read_facts(date=datetime.datetime.now(datetime.UTC).date(), **facts)
    folder = write(gather(runs), data, out, known, _limits(time_limit, memory_limit))
    click.echo(f"submission: {folder}")


@leaderboard.command()
@_FOLDER
@_BOARD
@click.option("--add", is_flag=True, help="Put the row on the board, as recomputed.")
@_TIME
@_MEMORY
def check(
    folder: Path, board: Path | None, add: bool, time_limit: int, memory_limit: float
) -> None:
    """Recompute every score of a submission and try its encoders; nothing of it is unpickled.

    \b
    Example:
        threedident leaderboard check submissions/2027-01-31_my-method
    """
    from benchmark.leaderboard.board import read_board

    place = _place(board, writes=add)
    checked = _checked(folder, place, _limits(time_limit, memory_limit))
    _show(checked)
    if add:
        click.echo(f"entry: {read_board(place).put(checked.entry())}, recomputed")


@leaderboard.command()
@_FOLDER
@_SECRET
@click.option("--n", type=click.IntRange(32), default=512, help="Rows of the fresh split.")
@click.option(
    "--fresh",
    type=click.Path(path_type=Path),
    help="Where the fresh split is kept for other submissions [default: nowhere].",
)
@click.option(
    "--retrained",
    type=click.Path(path_type=Path),
    help="Submission made by training its code again: raises the level.",
)
@_BOARD
@_TIME
@_MEMORY
def verify(
    folder: Path,
    secret: str,
    n: int,
    fresh: Path | None,
    retrained: Path | None,
    board: Path | None,
    time_limit: int,
    memory_limit: float,
) -> None:
    """Render a fresh test split, score the encoders on it, and put the signed row on the board.

    \b
    Example:
        threedident leaderboard verify submissions/2027-01-31_my-method --seed SECRET --n 512
    """
    from benchmark.leaderboard.board import read_board
    from benchmark.leaderboard.fresh import fresh_images
    from benchmark.leaderboard.seasons import Secret, find_season
    from benchmark.leaderboard.verify import verify as examine

    place, limits = _place(board, writes=True), _limits(time_limit, memory_limit)
    key = Secret(secret)
    season = find_season(read_board(place).seasons, key.commitment)
    _remark(season is None, key.guessable)
    checked = _checked(folder, place, limits)
    again = None if retrained is None else _checked(retrained, None, limits)
    with fresh_images(checked.folder.submission.data, key, n, fresh) as images:
        found = examine(checked, images, key, limits, again)
    row = checked.entry().verified(found, key)
    _show(checked, found.fresh)
    for name, gap in found.gap.items():
        flag = ", more than chance explains" if gap.suspicious else ""
        click.echo(
            f"{name}: public minus fresh {gap.difference:+.4f}, standard error "
            f"{gap.standard_error:.4f}{flag}"
        )
    click.echo(f"entry: {read_board(place).put(row)}, {row.level}")


def _remark(unpublished: bool, guessable: bool) -> None:
    if unpublished:
        click.echo("note: no season has this seed's hash, so the row is of a trial", err=True)
    if guessable:
        click.echo(
            "note: a seed this short can be guessed from its hash; take 32 random digits", err=True
        )


@leaderboard.command()
@_BOARD
@click.option("--out", type=click.Path(path_type=Path), default=Path("leaderboard.html"))
def build(board: Path | None, out: Path) -> None:
    """Write the leaderboard as one page that needs no network.

    \b
    Example:
        threedident leaderboard build --out leaderboard.html
    """
    from benchmark.leaderboard.board import read_board
    from benchmark.leaderboard.page import page
    from threedident.storage import write_bytes

    found = read_board(_place(board))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(out, page(found).encode())
    click.echo(f"{out}: {len(found.rows)} rows")


@leaderboard.command()
@_BOARD
def entries(board: Path | None) -> None:
    """Check every entry of the board: form, signature, season and data set.

    \b
    Example:
        threedident leaderboard entries
    """
    from benchmark.leaderboard.board import read_board, require_published_seasons

    found = read_board(_place(board))
    require_published_seasons(found)
    click.echo(f"{found.path}: {len(found.rows)} entries, all sound")


@leaderboard.command()
@click.argument("name")
@_SECRET
@click.option("--reveal", is_flag=True, help="End the season: publish its seed.")
@_BOARD
def season(name: str, secret: str, reveal: bool, board: Path | None) -> None:
    """Open a season by publishing the hash of its seed, or end it by publishing the seed.

    \b
    Examples:
        threedident leaderboard season 2027-spring --seed "$(openssl rand -hex 32)"
        threedident leaderboard season 2027-spring --seed SECRET --reveal
    """
    from benchmark.leaderboard.seasons import Secret, open_season, reveal_season

    path = _place(board, writes=True) / "seasons.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if reveal:
        reveal_season(path, name, secret)
        click.echo(f"{path}: season {name} has ended, its seed is published")
        return
    key = Secret(secret)
    _remark(False, key.guessable)
    opened = open_season(path, name, key, datetime.datetime.now(datetime.UTC).date())
    click.echo(f"{path}: season {name} is open, commitment {opened.commitment}")


def _place(board: Path | None, writes: bool = False) -> Path:
    """The folder of the board: the one given, or the project's own."""
    from benchmark.leaderboard.board import OWN

    if board is not None:
        return board
    if writes and not (OWN.parents[2] / "pyproject.toml").is_file():
        raise ValueError(
            "--board: expected a folder to write to, since this is no checkout of the project, "
            "found none; give one"
        )
    return OWN


def _checked(folder: Path, board: Path | None, limits: Limits) -> Checked:
    """A submission, checked and new to the board."""
    from benchmark.leaderboard.board import read_board
    from benchmark.leaderboard.check import check as examine
    from benchmark.leaderboard.folder import SubmissionFolder

    opened = SubmissionFolder(folder)
    if board is not None:
        read_board(board).require_new(opened.submission)
    with progress(f"check {folder.name}", len(opened.submission.seeds), "seeds") as advance:
        return examine(opened, limits, lambda: advance(1))


def _show(checked: Checked, fresh: Sequence[SeedScores] = ()) -> None:
    """The scores of every seed, with those of the fresh split beside the public ones."""
    submission = checked.folder.submission
    table = Table(title=f"{submission.method}, {len(checked.latents)} public test rows")
    names = ("seed", "R²", "MCC", "MCC, ranks")
    for name in (*names, "R², fresh", "MCC, fresh") if fresh else names:
        table.add_column(name, justify="right")
    for i, (record, scores) in enumerate(zip(submission.seeds, checked.scores, strict=True)):
        values = [scores.r2, scores.mcc, scores.mcc_spearman]
        values += [fresh[i].r2, fresh[i].mcc] if fresh else []
        table.add_row(str(record.seed), *(f"{value:.4f}" for value in values))
    Console().print(table)
