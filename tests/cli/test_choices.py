"""Closed lists of names: every message names the nearest one, and shells complete them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import torch
from click.shell_completion import ShellComplete
from click.testing import CliRunner

import threedident as package
from benchmark.encoders.networks import ENCODERS, build_encoder
from benchmark.encoders.output_spaces import find_extent
from benchmark.leaderboard.verification.seasons import open_season, reveal_season
from benchmark.leaderboard.verification.secret import Secret
from benchmark.losses import info_nce
from benchmark.losses.catalogue import LOSSES, find_loss
from benchmark.measure.__main__ import measure as measure_benchmark
from benchmark.metrics.hue_ceiling import ceiling
from benchmark.suites.suite import TABLES
from render.measure.__main__ import main as measure_qualities
from tests.conftest import refused_at_once
from threedident import Normal, PositivePairs, ThreeDIdent
from threedident.cli import threedident
from threedident.conditionals.law import CONDITIONALS, Law
from threedident.conditionals.marginal import Marginal
from threedident.index.projection import Projection
from threedident.index.tuning import kinds_to_try
from threedident.latents.sampling import sample_raw
from threedident.latents.spaces import find_space
from threedident.options import HeadedCommand
from threedident.runtime.errors import nearest, unknown


def test_the_nearest_name_ignores_case_and_may_be_none() -> None:
    assert nearest("Resnet81", ENCODERS) == "resnet18"
    assert nearest("vgg", ENCODERS) is None
    assert nearest("r2", ("r1", "demo")) == "r1"
    assert nearest("x", ("r1", "y", "xylophone")) is None
    assert unknown("x", "b", ("one",), "take it") == "x: expected one of one, found 'b'; take it"


def test_a_name_may_be_begun_or_its_beginning_be_mistyped() -> None:
    splits = ("mixing-3-box-uniform", "images-4c4a6ed9", "images-99aa4a6e-published", "kitti-cc")
    for begun in ("images", "imges", "ima", "IMAGES-4c"):
        assert nearest(begun, splits) == "images-4c4a6ed9", begun
    assert nearest("kitt", splits) == "kitti-cc"
    assert nearest("rendered", splits) is None


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("benchmrk",), "benchmark"),
        (("leaderboard", "chek", "x"), "check"),
        (("benchmark", "--encoer", "conv"), "--encoder"),
        (("render", "--qualty", "draft"), "--quality"),
        (("leaderboard", "submit", "x", "--licens", "MIT"), "--licence"),
        (("benchmark", "--loss", "supervisd"), "supervised"),
        (("benchmark", "--conditional", "norml", "--source", "mixing"), "normal"),
        (("benchmark", "--encoder", "idenity", "--source", "mixing"), "identity"),
        (("benchmark", "--output-space", "shpere"), "sphere"),
        (("benchmark", "--source", "neerest"), "nearest"),
        (("benchmark", "--protocol", "publishd"), "published"),
        (("benchmark", "--suite", "tabel2"), "table2"),
        (("benchmark", "--suite", "table1", "--rows", "box-identiti"), "box-identity"),
        (("render", "--n", 3, "--quality", "standrad"), "standard"),
        (("render", "--n", 3, "--material", "ruber"), "rubber"),
        (("render", "--n", 3, "--hue", "wraped"), "wrapped"),
        (("render", "--n", 3, "--space", "periodc"), "periodic"),
        (("render", "--n", 3, "--fix", "alhpa=0"), "alpha"),
        (("render", "--n", 3, "--pairs", "norml:0.1"), "normal"),
        (("render", "--n", 3, "--annotate", "maks"), "mask"),
        (("render", "--n", 3, "--executor", "slrum"), "slurm"),
        (("traverse", "x.png", "--device", "opitx"), "optix"),
        (("preview", "data", "--split", "tran"), "train"),
        (("export", "a", "b", "--layout", "publishd"), "published"),
        (("download", "a", "--split", "tset"), "test"),
        (("compare", "a", "--by", "mc"), "mcc"),
    ],
    ids=lambda x: x if isinstance(x, str) else None,
)
def test_the_command_line_asks_whether_the_nearest_was_meant(
    words: tuple[object, ...], near: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refused_at_once(*words)
    assert line.endswith(f"; did you mean {near!r}?"), line
    assert ": expected " in line
    assert ", found " in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda: find_space("periodik"), "periodic"),
        (lambda: sample_raw(0, "tst", 1), "test"),
        (lambda: ThreeDIdent("nowhere", "train/positive"), "train/positives"),
        (lambda: Projection(10, ["spotlight_hu"]), "spotlight_hue"),
        (lambda: Normal(0.1, space="sphare"), "sphere"),  # type: ignore[arg-type]
        (lambda: kinds_to_try("hsnw", "cpu", 0, (9, 2)), "hnsw"),
        (lambda: kinds_to_try("auto", "cdua", 0, (9, 2)), "cuda"),
        (lambda: build_encoder("resnet81", (3, 8, 8), 2, "sphere", seed=0), "resnet18"),
        (lambda: find_loss("cosin"), "cosine"),
        (lambda: Law("gennorm", 0.1).conditional("box"), "gennorm3"),
        (lambda: Marginal("shpere", "uniform", 3), "sphere"),
        (lambda: Marginal("box", "unifrom", 3), "uniform"),
        (lambda: find_extent("fixed-bx", None), "fixed-box"),
        (lambda: ceiling("wraped"), "wrapped"),  # type: ignore[arg-type]
    ],
)
def test_the_library_asks_whether_the_nearest_was_meant(
    call: Callable[[], object], near: str
) -> None:
    with pytest.raises(ValueError, match=f"; did you mean '{near}'\\?$"):
        call()


@pytest.mark.slow
def test_pairs_ask_whether_the_nearest_anchor_was_meant(rendered: Path) -> None:
    with pytest.raises(ValueError, match="found 'rwo'; did you mean 'row'"):
        PositivePairs(ThreeDIdent(rendered), Normal(0.1), anchor="rwo")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("cosin", "CosineSimilarity()"),
        ("CosineSimilarity", "CosineSimilarity()"),
        ("dott", "DotSimilarity()"),
        ("lpsimilarity", "LpSimilarity(2)"),
        ("L3", "LpSimilarity(3)"),
        ("banana", "one such as LpSimilarity(2) or DotSimilarity()"),
    ],
)
def test_the_name_of_a_similarity_is_answered_with_one(name: str, fix: str) -> None:
    u = torch.ones(4, 2)
    with pytest.raises(ValueError, match=f"found {name!r}; give {re.escape(fix)}$"):
        info_nce(u, u, name)  # type: ignore[arg-type]


def test_the_package_asks_whether_the_nearest_name_was_meant() -> None:
    with pytest.raises(AttributeError, match="'PositivPairs'; did you mean") as caught:
        _ = package.PositivPairs
    assert (caught.value.name, caught.value.obj) == ("PositivPairs", package)
    with pytest.raises(AttributeError, match=r"has no attribute 'banana'$"):
        _ = package.banana


def test_seasons_ask_whether_the_nearest_was_meant(tmp_path: Path) -> None:
    import datetime

    path = tmp_path / "seasons.json"
    secret = Secret("f3a1c2d4e5b60718293a4b5c6d7e8f90")
    open_season(path, "2027-spring", secret, 256, datetime.date(2027, 1, 1))
    with pytest.raises(ValueError, match="found '2027-sprnig'; did you mean '2027-spring'"):
        reveal_season(path, "2027-sprnig", secret, {})
    with pytest.raises(ValueError, match="found 'other'; open it first"):
        reveal_season(path, "other", secret, {})


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command of the project by the words that call it."""
    context = click.Context(threedident)
    for name in threedident.list_commands(context):
        command = threedident.get_command(context, name)
        assert command is not None
        yield f"threedident {name}", command
        if isinstance(command, click.Group):
            for inner, found in command.commands.items():
                yield f"threedident {name} {inner}", found
    yield "python -m render.measure", measure_qualities
    for name, command in measure_benchmark.commands.items():
        yield f"python -m benchmark.measure {name}", command


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_and_explains_every_option(name: str) -> None:
    command = COMMANDS[name]
    shown = CliRunner().invoke(command, ["--help"], prog_name=name)
    assert shown.exit_code == 0
    assert "Example" in shown.output
    assert f"    {name}" in shown.output
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert option.help.rstrip().endswith((".", "]")), option.help


def test_benchmark_explains_its_options_under_headings() -> None:
    command = COMMANDS["threedident benchmark"]
    assert isinstance(command, HeadedCommand)
    named = [name for names in command.headings.values() for name in names]
    assert sorted(named) == sorted(str(option.name) for option in command.params)
    shown = CliRunner().invoke(command, ["--help"]).output
    for heading in ("Data", "Pairs", "Model", "Training", "Scoring", "Suite", "Run", "Other"):
        assert f"\n{heading}:\n" in shown
    for option in command.params:
        assert shown.count(f"\n  {option.opts[0]} ") + shown.count(f"\n  {option.opts[0]}\n") == 1


def completions(*words: str) -> list[str]:
    """What a shell offers for the last word of a command line."""
    completing = ShellComplete(threedident, {}, "threedident", "_THREEDIDENT_COMPLETE")
    found = completing.get_completions(list(words[:-1]), words[-1])
    return [item.value for item in found]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("be",), ["benchmark"]),
        (("leaderboard", ""), ["build", "check", "entries", "pin", "season", "submit", "verify"]),
        (("benchmark", "--encoder", ""), list(ENCODERS)),
        (("benchmark", "--encoder", "resnet1"), ["resnet18", "resnet101", "resnet152"]),
        (("benchmark", "--conditional", ""), list(CONDITIONALS)),
        (("benchmark", "--loss", ""), list(LOSSES)),
        (("benchmark", "--suite", ""), list(TABLES)),
        (
            ("benchmark", "--suite", "kitti", "--rows", "x,"),
            [f"x,{r.name}" for r in TABLES["kitti"].rows],
        ),
        (("benchmark", "--rows", ""), []),
        (("benchmark", "--output-space", "fi"), ["fixed-box"]),
        (("benchmark", "--enc"), ["--encoder"]),
        (("render", "--qua"), ["--quality"]),
        (("render", "--quality", "p"), ["paper"]),
        (("nonsense", "--q"), []),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, tuple) else "",
)
def test_shells_complete_names(words: tuple[str, ...], offered: list[str]) -> None:
    assert completions(*words) == offered


@pytest.mark.slow
def test_completing_a_command_imports_none() -> None:
    script = (
        "import sys\nfrom threedident.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(*sorted({'torch', 'numpy', 'benchmark', 'render'} & set(sys.modules)))"
    )
    words = {"COMP_WORDS": "threedident ", "COMP_CWORD": "1"}
    asked = {"_THREEDIDENT_COMPLETE": "bash_complete", **words}
    result = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **asked}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    *offered, loaded = result.stdout.splitlines()
    assert "plain,benchmark" in offered
    assert loaded == ""


@pytest.mark.slow
def test_bash_completes_the_command(tmp_path: Path) -> None:
    """The script that ``bash_source`` prints, sourced and asked as bash asks it."""
    line = "COMP_WORDS=(threedident benchmark --loss cos); COMP_CWORD=3; "
    script = (
        'eval "$(_THREEDIDENT_COMPLETE=bash_source threedident)"\n'
        "complete -p threedident\n"
        f"{line}_threedident_completion threedident\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    folder = Path(sys.executable).parent
    env: dict[str, Any] = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    result = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    complete, *offered = result.stdout.splitlines()
    assert complete == "complete -o nosort -F _threedident_completion threedident"
    assert offered == ["cosine"]
