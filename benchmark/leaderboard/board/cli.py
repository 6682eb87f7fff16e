"""The commands of the board: ``leaderboard build``, ``entries`` and ``pin``."""

from __future__ import annotations

from pathlib import Path

import click

from threedident.options import NewFile
from threedident.runtime.files import locked
from threedident.runtime.packages import require_extra

BOARD = click.option(
    "--board",
    type=click.Path(path_type=Path),
    help="Folder of entries and seasons [default: the project's own].",
)


@click.command()
@BOARD
@click.option(
    "--out",
    type=NewFile(parents=True),
    default=Path("leaderboard.html"),
    help="The page to write.",
)
def build(board: Path | None, out: Path) -> None:
    """Write the leaderboard as one page that needs no network.

    \b
    Example:
        threedident leaderboard build --out leaderboard.html
    """
    require_extra("leaderboard", "leaderboard", "cryptography")
    from benchmark.leaderboard.board.board import read_board
    from benchmark.leaderboard.board.page import page
    from threedident.runtime.files import write_bytes

    found = read_board(board_folder(board))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(out, page(found).encode())
    click.echo(f"{out}: {len(found.rows)} rows")


@click.command()
@BOARD
def entries(board: Path | None) -> None:
    """Check every entry of the board: form, signature, season, data set and kept codes.

    Codes of the fresh images can be read, and are scored again, when their season has ended.

    \b
    Example:
        threedident leaderboard entries
    """
    require_extra("leaderboard", "leaderboard", "cryptography")
    from benchmark.leaderboard.board.board import read_board
    from benchmark.leaderboard.board.kept import require_kept_codes

    found = read_board(board_folder(board))
    scored = require_kept_codes(found)
    again = f", kept codes of {scored} scored again" if scored else ""
    click.echo(f"{found.path}: {len(found.rows)} entries, all sound{again}")


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@BOARD
def pin(data: Path, board: Path | None) -> None:
    """Pin a data set that you rendered. Rows on another data set of the same name are refused.

    The command first reads every image and compares it with its digest.

    \b
    Example:
        threedident leaderboard pin data/3dident
    """
    home = board_folder(board, writes=True)
    from benchmark.leaderboard.board.board import read_board
    from benchmark.leaderboard.board.pins import require_same_data, write_pins
    from benchmark.leaderboard.submission.data import describe_data
    from threedident.latents.sampling import SPLITS
    from threedident.storage.folder import SplitFolder
    from threedident.storage.manifest import require_manifest
    from threedident.storage.verify import verify_split

    folders = [SplitFolder(data, split) for split in SPLITS]
    record = describe_data(*(require_manifest(folder) for folder in folders))
    problems = [problem for folder in folders for problem in verify_split(folder, deep=True)]
    if problems:
        raise ValueError(
            f"{problems[0].path}: expected the file as rendered, found it {problems[0].what}; "
            "the render command of the data set repairs it"
        )
    with locked(home, wait=True):
        pins = read_board(home, new=True).pins
        if record.id in pins:
            require_same_data(pins[record.id], record, str(data))
        write_pins(home / "data.json", [*({**pins, record.id: record}).values()])
    click.echo(f"{home / 'data.json'}: {record.id}, test images {record.digests.test[:12]}")


def board_folder(board: Path | None, writes: bool = False) -> Path:
    """The folder of the board: the given one, or the board of the project.

    Arguments:
        board: the given folder, or None.
        writes: True if the caller writes to the folder.

    Raises:
        ValueError: no folder is given, and the package is installed, so its board is read-only.
    """
    from benchmark.leaderboard.board.board import OWN

    if board is not None:
        return board
    if writes and not (OWN.parents[2] / "pyproject.toml").is_file():
        raise ValueError(
            "--board: expected a folder to write to, found none, and the board of an installed "
            "package cannot be changed; give --board FOLDER"
        )
    return OWN
