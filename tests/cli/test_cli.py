from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import cli, command, only_line, refused, refused_at_once
from tests.test_architecture import ROOT
from threedident import __version__
from threedident.runtime.progress import progress

COMMANDS = (
    "render",
    "verify",
    "info",
    "preview",
    "pack",
    "export",
    "download",
    "traverse",
    "benchmark",
    "leaderboard",
)


@pytest.mark.slow
def test_help_lists_every_command() -> None:
    result = cli("--help")
    assert result.returncode == 0
    for name in COMMANDS:
        assert f"  {name} " in result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = cli(name, "--help")
    assert result.returncode == 0, result.stderr
    assert "Example" in result.stdout
    assert f"threedident {name}" in result.stdout
    assert "\b" not in result.stdout


@pytest.mark.slow
def test_version() -> None:
    assert __version__ in cli("--version").stdout


@pytest.mark.slow
def test_mistakes_take_one_line() -> None:
    assert "expected one of render, verify" in refused("paint")
    assert "--colour: expected an option of threedident render" in refused("render", "--colour")
    assert "--frame" in refused("--frame")
    assert "Missing argument" in refused("verify")


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [("export", "a", "b", "--layout", "published"), ("leaderboard", "check", "x"), ("info", "x")],
)
def test_a_working_folder_that_was_deleted_is_named(line: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    script = (
        f'cd "{tmp_path}/gone" && rmdir "{tmp_path}/gone" && exec {shlex.join(command(*line))}'
    )
    result = subprocess.run(
        ["sh", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert result.returncode == 2
    assert only_line(result.stderr) == result.stderr.rstrip()
    assert "working folder: expected it on the disk, found it deleted; change" in result.stderr


@pytest.mark.parametrize(
    "line",
    [
        ("info", "{}"),
        ("benchmark", "--data", "{}"),
        ("benchmark", "--encoder", "{}"),
        ("benchmark", "--steps", "{}"),
        ("benchmark", "--conditional", "{}"),
        ("render", "--n", "1", "--pairs", "{}"),
        ("render", "--n", "1", "--annotate", "{}"),
        ("render", "--n", "1", "--fix", "{}"),
        ("{}",),
        ("--{}",),
    ],
)
def test_lines_are_bounded_and_nothing_for_terminals(line: tuple[str, ...]) -> None:
    text = "x\x1b[2J\n\u202e" * 10_000
    refusal = refused_at_once(*(part.format(text) for part in line))
    assert len(refusal) < 2500
    assert refusal.isprintable()


@pytest.mark.slow
def test_no_command_shows_what_there_is() -> None:
    result = cli()
    assert result.returncode == 2
    assert "Commands" in result.stderr


def test_console_script_is_installed() -> None:
    from importlib.metadata import entry_points

    [script] = entry_points(group="console_scripts", name="threedident")
    assert script.value == "threedident.cli:main"


def test_progress_without_a_terminal_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("draw", 3, "images") as advance:
        for _ in range(3):
            advance(note="fine")
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("draw: 3/3 images, ")
    assert "0 s left, fine" in err


@pytest.mark.slow
def test_progress_on_a_terminal_is_a_bar() -> None:
    script = (
        "from threedident.runtime.progress import progress\n"
        "with progress('draw', 2, 'images') as advance:\n    advance(2, 'fine')"
    )
    ours, theirs = pty.openpty()
    env = {"TERM": "xterm", "COLUMNS": "120", "PATH": ""}
    try:
        subprocess.run([sys.executable, "-c", script], stderr=theirs, env=env, check=True)
        shown = os.read(ours, 4096).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert "2/2" in shown
    assert "fine" in shown


@pytest.mark.slow
def test_module_and_script_are_one() -> None:
    assert command("--help")[1:3] == ["-m", "threedident"]
    assert cli("--help").stdout.startswith("Usage: threedident")
