"""The commands ``leaderboard season open`` and ``leaderboard season reveal``."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from benchmark.leaderboard.board.cli import BOARD, board_folder
from threedident.options import Group
from threedident.runtime.files import locked
from threedident.runtime.packages import require_extra

if TYPE_CHECKING:
    from benchmark.leaderboard.verification.secret import Secret

SECRET = click.option(
    "--secret",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="File with the secret of the season, or - for standard input.",
)
_NAME = click.argument("name")


@click.group(cls=Group, context_settings={"show_default": True})
def season() -> None:
    """Open a season by publishing the hash of its secret, or end it by publishing the secret.

    \b
    Examples:
        threedident leaderboard season open 2027-spring
        threedident leaderboard season reveal 2027-spring --secret 2027-spring.secret
    """


@season.command("open")
@_NAME
@click.option(
    "--secret",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File of the secret, created if it does not exist, or - for standard input "
    "[default: NAME.secret].",
)
@click.option(
    "--n", type=click.IntRange(256, 100_000), default=512, help="Rows of each fresh split."
)
@BOARD
def open_command(name: str, secret: Path | None, n: int, board: Path | None) -> None:
    """Write a random secret to a file that only you can read, and publish its hash.

    \b
    Example:
        threedident leaderboard season open 2027-spring
    """
    require_extra("leaderboard", "leaderboard", "cryptography")
    home = board_folder(board, writes=True)
    from benchmark.leaderboard.board.board import read_board
    from benchmark.leaderboard.verification.seasons import open_season, require_new_season
    from benchmark.leaderboard.verification.secret import STDIN, make_secret

    require_new_season(read_board(home, new=True).seasons, name)
    place = Path(f"{name}.secret") if secret is None else secret
    if secret is None and place.exists():
        raise ValueError(
            f"{place}: expected no file, because a new secret is written there, found one; give "
            f"--secret {place} if you made it yourself"
        )
    if place == STDIN or place.exists():
        key = given_secret(place)
    else:
        key = make_secret(place)
        click.echo(f"{place}: the secret, which only you can read; keep it, and do not share it")
    path = home / "seasons.json"
    today = datetime.datetime.now(datetime.UTC).date()
    with locked(home, wait=True):
        opened = open_season(path, name, key, n, today)
    click.echo(f"{path}: season {name} is open, commitment {opened.commitment}")


@season.command("reveal")
@_NAME
@SECRET
@BOARD
def reveal_command(name: str, secret: Path, board: Path | None) -> None:
    """End a season: publish its secret, and the signatures of its rows.

    \b
    Example:
        threedident leaderboard season reveal 2027-spring --secret 2027-spring.secret
    """
    require_extra("leaderboard", "leaderboard", "cryptography")
    home = board_folder(board, writes=True)
    from benchmark.leaderboard.board.board import read_board, season_signatures
    from benchmark.leaderboard.verification.seasons import reveal_season

    read_board(home)
    key = given_secret(secret)
    with locked(home, wait=True):
        signatures = season_signatures(read_board(home), name)
        reveal_season(home / "seasons.json", name, key, signatures)
    click.echo(f"{home / 'seasons.json'}: season {name} has ended, its secret is published")


def given_secret(place: Path) -> Secret:
    """The secret in a file or standard input, with a note if other users can read the file."""
    from benchmark.leaderboard.verification.secret import is_open_to_others, read_secret

    found = read_secret(place)
    if is_open_to_others(place):
        click.echo(
            f"note: other users own or can read {place}; make it yours, and chmod 600 {place}",
            err=True,
        )
    return found
