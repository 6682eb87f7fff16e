"""Advice after each command: reasons why a submission is not ranked, and the next command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from benchmark.leaderboard.board.board import OWN, Board
from benchmark.leaderboard.board.standings import standings
from benchmark.leaderboard.submission.reproduce import training_command
from benchmark.leaderboard.submission.runs import Trained, is_of_old_numbering
from benchmark.leaderboard.submission.submission import SEEDS, Facts, Submission


def after_submit(
    folder: Path, submission: Submission, trained: Sequence[Trained], data: Path
) -> list[str]:
    """Lines of advice for the submitter.

    Arguments:
        folder: folder of the submission.
        submission: content of its ``submission.json``.
        trained: the trained seeds of the submission.
        data: path of the data set that they were trained on.
    """
    lines = _remarks(submission)
    missing = _missing(submission)
    if missing:
        runs, config = list(dict.fromkeys(each.folder.path for each in trained)), trained[0].config
        anew = is_of_old_numbering(config)
        seeds, kept = (SEEDS, []) if anew else (missing, runs)
        rest = runs[0].with_name(f"{runs[0].name}-seeds-{'-'.join(map(str, seeds))}")
        if anew:
            lines.append(
                "all seeds anew: the numbering of pairs has changed since these runs, so seeds "
                "trained today cannot join them"
            )
        command = training_command(config, submission.data, data, seeds, rest)
        lines.append(f"train them: {command}")
        again = _submit_command([*kept, rest], submission, data, folder.parent)
        lines.append(f"then, with {folder} moved away: {again}")
    return [*lines, f"next: {_command('check', folder)}"]


def after_check(folder: Path, submission: Submission) -> list[str]:
    """Lines of advice after the command ``check``."""
    verify = f"{_command('verify', folder)} --secret FILE"
    return [
        *_remarks(submission),
        f"next: {verify}, which maintainers run with the secret of a season; without it the row "
        "is shown, but not ranked",
    ]


def after_verify(board: Board, name: str) -> list[str]:
    """Lines of advice after the command ``verify``."""
    build = "threedident leaderboard build"
    if board.path != OWN:
        build = shlex.join([*build.split(), "--board", str(board.path)])
    return [place_of(board, name), f"next: {build}"]


def place_of(board: Board, name: str) -> str:
    """One line with the rank of a row in its track, or the reason why it is not ranked.

    Raises:
        ValueError: the board does not have the row.
    """
    for track, members in standings(board).items():
        for standing in members:
            if standing.row.id == name:
                rank = standing.rank
                return f"not ranked: {standing.why}" if rank is None else f"rank {rank} in {track}"
    raise ValueError(f"{name}: expected a row of {board.path}, found none; check the id")


def _remarks(submission: Submission) -> list[str]:
    lines, missing = [], _missing(submission)
    if missing:
        lines.append(
            f"not ranked: the board ranks rows of the seeds {_spell(SEEDS)}; missing here: "
            f"{_spell(missing)}"
        )
    if submission.licence is None:
        lines.append(
            "licence: none given, and the page says so; a row is ranked without one, but others "
            "need it to use the encoder; give --licence with an SPDX identifier such as MIT"
        )
    if submission.code is None:
        lines.append(
            "code: no address given; a row is ranked without one, but the level retrained needs "
            "code that others can run; give --code URL"
        )
    return lines


def _missing(submission: Submission) -> tuple[int, ...]:
    there = {record.seed for record in submission.seeds}
    return tuple(seed for seed in SEEDS if seed not in there)


def _submit_command(runs: Sequence[Path], submission: Submission, data: Path, out: Path) -> str:
    words = ["threedident", "leaderboard", "submit", *map(str, runs), "--data", str(data)]
    for name in Facts.model_fields:
        value = getattr(submission, name)
        if name == "date" or value in (None, False):
            continue
        option = f"--{name.replace('_', '-')}"
        words += [option] if value is True else [option, str(value)]
    return shlex.join([*words, "--out", str(out)])


def _command(name: str, folder: Path) -> str:
    return shlex.join(["threedident", "leaderboard", name, str(folder)])


def _spell(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
