"""The commands on the board: ``leaderboard build``, ``entries`` and ``season``."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.leaderboard.sandbox import require_packages

if TYPE_CHECKING:
    from benchmark.leaderboard.seasons import Secret

BOARD = click.option(
    "--board",
    type=click.Path(path_type=Path),
    help="Folder of entries and seasons [default: the project's own].",
)
SECRET = click.option(
    "--seed",
    "secret",
    required=True,
    envvar="THREEDIDENT_SEASON",
    show_envvar=True,
    metavar="SECRET",
    help="Secret of the season.",
)


@click.command()
@BOARD
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("leaderboard.html"),
    help="The page to write.",
)
def build(board: Path | None, out: Path) -> None:
    """Write the leaderboard as one page that needs no network.

    \b
    Example:
        threedident leaderboard build --out leaderboard.html
    """
    _require_package()
    from benchmark.leaderboard.board import read_board
    from benchmark.leaderboard.page import page
    from threedident.storage import write_bytes

    found = read_board(board_folder(board))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(out, page(found).encode())
    click.echo(f"{out}: {len(found.rows)} rows")


@click.command()
@BOARD
def entries(board: Path | None) -> None:
    """Check every entry of the board: form, signature, season and data set.

    \b
    Example:
        threedident leaderboard entries
    """
    _require_package()
    from benchmark.leaderboard.board import read_board, require_published_seasons

    found = read_board(board_folder(board))
    require_published_seasons(found)
    click.echo(f"{found.path}: {len(found.rows)} entries, all sound")


@click.command()
@click.argument("name")
@SECRET
@click.option("--n", type=click.IntRange(256), default=512, help="Rows of its fresh splits.")
@click.option("--reveal", is_flag=True, help="End the season: publish its seed.")
@BOARD
def season(name: str, secret: str, n: int, reveal: bool, board: Path | None) -> None:
    """Open a season by publishing the hash of its seed, or end it by publishing the seed.

    \b
    Examples:
        (umask 077 && openssl rand -hex 32 > 2027-spring.secret)
        threedident leaderboard season 2027-spring --seed "$(cat 2027-spring.secret)"
        threedident leaderboard season 2027-spring --seed "$(cat 2027-spring.secret)" --reveal
    """
    _require_package()
    home = board_folder(board, writes=True)
    from benchmark.leaderboard.board import read_board, season_signatures
    from benchmark.leaderboard.seasons import Secret, open_season, reveal_season

    path = home / "seasons.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    if reveal:
        reveal_season(path, name, secret, season_signatures(read_board(home), name))
        click.echo(f"{path}: season {name} has ended, its seed is published")
        return
    key = Secret(secret)
    remark(key)
    opened = open_season(path, name, key, n, datetime.datetime.now(datetime.UTC).date())
    click.echo(f"{path}: season {name} is open, commitment {opened.commitment}")


def _require_package() -> None:
    """Signatures need one package."""
    require_packages("cryptography")


def board_folder(board: Path | None, writes: bool = False) -> Path:
    """The folder of the board: the one given, or the project's own."""
    from benchmark.leaderboard.board import OWN

    if board is not None:
        return board
    if writes and not (OWN.parents[2] / "pyproject.toml").is_file():
        raise ValueError(
            "--board: expected a folder to write to, found none given, and the board of an "
            "installed package stays as it is; give --board FOLDER"
        )
    return OWN


def remark(secret: Secret, trial: bool = False) -> None:
    """Say what is amiss with a season's secret, and yet allowed."""
    if trial:
        click.echo("note: no season has this seed's hash, so the row is of a trial", err=True)
    if secret.guessable:
        click.echo(
            "note: a seed this short can be guessed from its hash; take 32 random digits", err=True
        )
