"""The command ``threedident leaderboard``, with a subcommand for each step from run to page."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmark.leaderboard.board.cli import BOARD, board_folder, build, entries, pin
from benchmark.leaderboard.board.season_cli import SECRET, given_secret, season
from benchmark.leaderboard.sandbox.sandbox import (
    PROTECTIONS,
    Limits,
    protections,
)
from threedident.options import Group
from threedident.runtime.packages import require_extra
from threedident.runtime.progress import progress

if TYPE_CHECKING:
    from benchmark.leaderboard.verification.check import Checked
    from benchmark.leaderboard.verification.entry import Entry, Level
    from benchmark.leaderboard.verification.findings import SeedScores
    from benchmark.leaderboard.verification.seasons import Season

_Command = TypeVar("_Command", bound=Callable[..., Any])
_PACKAGES = ("cryptography", "onnx", "onnxruntime")
_FOLDER = click.argument("folder", type=click.Path(path_type=Path))
_TIME = click.option(
    "--time-limit", type=click.IntRange(1, 86_400), default=600, help="Seconds for each encoder."
)
_MEMORY = click.option(
    "--memory-limit", type=click.IntRange(1, 1024), default=4, help="GiB for each encoder."
)


def _limits(seconds: int, gibibytes: int) -> Limits:
    return Limits(seconds, gibibytes * 2**30)


@click.group(cls=Group, context_settings={"show_default": True})
def leaderboard() -> None:
    """Run a leaderboard that scores encoders on new images that nobody has seen.

    \b
    Example:
        threedident leaderboard submit runs/mine --method "My method"
        threedident leaderboard check submissions/2027-01-31_my-method
    """


for _command in (build, entries, pin, season):
    leaderboard.add_command(_command)


@leaderboard.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--method", required=True, help="Name of the method on the page.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Data set of the runs [default: its path at training].",
)
@click.option("--paper", metavar="URL", help="Page or paper that describes the method.")
@click.option("--code", metavar="URL", help="Page with the code of the method.")
@click.option("--licence", metavar="SPDX", help="Licence of encoder and codes, such as MIT.")
@click.option("--submitter", metavar="NAME", help="Person or group who submits it.")
@click.option("--external-data", is_flag=True, help="Training used other images, too.")
@click.option("--pretrained", is_flag=True, help="Training began with pretrained weights.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("submissions"),
    help="Parent folder of the new submission.",
)
@_TIME
@_MEMORY
def submit(
    runs: tuple[Path, ...],
    data: Path | None,
    out: Path,
    time_limit: int,
    memory_limit: int,
    **facts: Any,
) -> None:
    """Make the folder of a submission from finished runs of the seeds 0, 1 and 2.

    Rows without one of these seeds are shown, but not ranked.

    \b
    Examples:
        threedident leaderboard submit runs/mine --method "My method" --licence MIT
        threedident leaderboard submit runs/a runs/b --method "My method"
    """
    from benchmark.leaderboard.advice import after_submit
    from benchmark.leaderboard.submission.folder import SubmissionFolder
    from benchmark.leaderboard.submission.runs import gather, trained_on
    from benchmark.leaderboard.submission.submission import read_facts
    from benchmark.leaderboard.submission.submit import submit as write

    require_extra("leaderboard", "leaderboard", *_PACKAGES, "onnxscript")
    known = read_facts(date=datetime.datetime.now(datetime.UTC).date(), **facts)
    trained = gather(runs)
    place = data or trained_on(trained)
    folder = write(trained, place, out, known, _limits(time_limit, memory_limit))
    click.echo(f"submission: {folder}")
    submission = SubmissionFolder(folder).submission
    click.echo("\n".join(after_submit(folder, submission, trained, place)))


@leaderboard.command()
@_FOLDER
@BOARD
@click.option("--add", is_flag=True, help="Add the row to the board, with level recomputed.")
@_TIME
@_MEMORY
def check(folder: Path, board: Path | None, add: bool, time_limit: int, memory_limit: int) -> None:
    """Recompute every score of a submission and test its encoders; nothing is unpickled.

    \b
    Example:
        threedident leaderboard check submissions/2027-01-31_my-method
    """
    require_extra("leaderboard", "leaderboard", *_PACKAGES)
    home = board_folder(board, writes=add)
    from benchmark.leaderboard.advice import after_check, place_of
    from benchmark.leaderboard.board.board import add_row, read_board

    checked = _checked(folder, home, "recomputed", _limits(time_limit, memory_limit))
    written = add_row(home, checked.entry()) if add else None  # before anything is printed
    _show(checked)
    if written is not None:
        click.echo(f"entry: {written}, recomputed")
        click.echo(place_of(read_board(home), checked.folder.submission.id))
    click.echo("\n".join(after_check(folder, checked.folder.submission)))


@leaderboard.command()
@_FOLDER
@SECRET
@click.option(
    "--fresh",
    type=click.Path(path_type=Path),
    help="Folder that keeps the fresh split for other submissions [default: not kept].",
)
@click.option(
    "--retrained",
    type=click.Path(path_type=Path),
    help="Submission made by training its code again; raises the level to retrained.",
)
@BOARD
@_TIME
@_MEMORY
def verify(
    folder: Path,
    secret: Path,
    fresh: Path | None,
    retrained: Path | None,
    board: Path | None,
    time_limit: int,
    memory_limit: int,
) -> None:
    """Render a fresh test split, score the encoders on it, and add the signed row to the board.

    \b
    Example:
        threedident leaderboard verify submissions/2027-01-31_my-method --secret 2027-spring.secret
    """
    require_extra("leaderboard", "leaderboard", *_PACKAGES)
    home, limits = board_folder(board, writes=True), _limits(time_limit, memory_limit)
    from benchmark.leaderboard.advice import after_verify
    from benchmark.leaderboard.board.board import read_board
    from benchmark.leaderboard.verification.fresh import fresh_images
    from benchmark.leaderboard.verification.verify import verify as examine

    there, key = read_board(home, new=True), given_secret(secret)
    season = _open_season(there.seasons, key.commitment, home)
    level: Level = "re-executed" if retrained is None else "retrained"
    checked = _checked(folder, home, level, limits)
    again = None if retrained is None else _checked(retrained, None, level, limits)
    submission = checked.folder.submission
    there.require_not_lowered(submission.id, level)
    encoders = len(submission.seeds) * (1 if again is None else 2)
    with (
        fresh_images(submission.data, key, season.rows, fresh) as images,
        progress("run encoders", encoders, "encoders") as advance,
    ):
        found = examine(checked, images, key, season.name, limits, again, lambda: advance(1))
    row = checked.entry().verified(found, key)
    written = _kept(home, row)
    try:
        click.echo(f"entry: {written}, {row.level}")
        _show(checked, found.fresh)
        for name, gap in found.gap.items():
            flag = ", more than chance explains" if gap.suspicious else ""
            click.echo(
                f"{name}: public minus fresh {gap.difference:+.4f}, standard error "
                f"{gap.standard_error:.4f}{flag}"
            )
        click.echo("\n".join(after_verify(read_board(home), row.id)))
        sys.stdout.flush()
    except OSError as error:
        raise ValueError(
            f"{written}: the signed row is written, but could not be shown "
            f"({error.strerror or error}); threedident leaderboard build shows it"
        ) from None


def _kept(board: Path, row: Entry) -> Path:
    """Write a signed row to the board. If that fails, write it to the working folder.

    Raises:
        ValueError: writing to the board failed; the message says where the row is.
    """
    from benchmark.leaderboard.board.board import add_row
    from benchmark.leaderboard.verification.entry import row_bytes
    from threedident.runtime.errors import explain
    from threedident.runtime.files import write_bytes

    try:
        return add_row(board, row)
    except (OSError, ValueError) as error:
        rescued = Path(f"{row.id}.json").resolve()
        write_bytes(rescued, row_bytes(row))
        reason = explain(error) if isinstance(error, OSError) else str(error)
        raise ValueError(
            f"{reason}; the signed row is kept in {rescued}: put it into {board / 'entries'}"
        ) from None


def _open_season(seasons: Sequence[Season], commitment: str, board: Path) -> Season:
    """The open season that has the given secret.

    Raises:
        ValueError: no season has this secret, or the season has ended or not begun.
    """
    from benchmark.leaderboard.verification.seasons import find_season

    found = find_season(seasons, commitment)
    if found is None:
        raise ValueError(
            f"--secret: expected the secret of a season of {board / 'seasons.json'}, found "
            "another; threedident leaderboard season open begins a season"
        )
    if found.ended:
        raise ValueError(
            f"--secret: expected that of an open season, found season {found.name}, which has "
            "ended and whose secret is public; open another season"
        )
    today = datetime.datetime.now(datetime.UTC).date()
    if today < found.opened:
        raise ValueError(
            f"clock: expected {found.opened} or later, when season {found.name} opened, found "
            f"{today} (UTC); set this machine's clock"
        )
    return found


def _checked(folder: Path, board: Path | None, level: Level, limits: Limits) -> Checked:
    """A submission after all checks.

    Arguments:
        folder: folder of the submission.
        board: folder of the board, to check that the submission is new; None to skip this.
        level: level of the row.
        limits: time and memory for each encoder.
    """
    from benchmark.leaderboard.board.board import read_board
    from benchmark.leaderboard.submission.folder import SubmissionFolder
    from benchmark.leaderboard.verification.check import check as examine

    opened = SubmissionFolder(folder)
    if board is not None:
        read_board(board, new=True).require_new(opened.submission, level)
    with progress(f"check {folder.name}", len(opened.submission.seeds), "seeds") as advance:
        return examine(opened, limits, lambda: advance(1))


def _show(checked: Checked, fresh: Sequence[SeedScores] = ()) -> None:
    """Print the scores of every seed on the public and, if given, on the fresh split."""
    submission = checked.folder.submission
    title = f"{submission.method}, {len(checked.latents)} public test rows"
    table = Table(title=Text(title))  # untrusted text, so no markup is interpreted
    names = ("seed", "R²", "MCC", "MCC, ranks")
    for name in (*names, "R², fresh", "MCC, fresh") if fresh else names:
        table.add_column(name, justify="right")
    for i, (record, scores) in enumerate(zip(submission.seeds, checked.scores, strict=True)):
        values = [scores.r2, scores.mcc, scores.mcc_spearman]
        values += [fresh[i].r2, fresh[i].mcc] if fresh else []
        table.add_row(str(record.seed), *(f"{value:.4f}" for value in values))
    Console().print(table)
    for alike in checked.alike:
        click.echo(f"not ranked: {alike.spelled()}")
    for name, held in protections().items():
        if not held:
            click.echo(f"sandbox: this system could not give the encoders {PROTECTIONS[name]}")
