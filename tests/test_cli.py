from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from tests.conftest import cli, command, refused
from threedident import __version__
from threedident.progress import progress

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


def test_help_lists_every_command() -> None:
    result = cli("--help")
    assert result.returncode == 0
    for name in COMMANDS:
        assert f"  {name} " in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = cli(name, "--help")
    assert result.returncode == 0, result.stderr
    assert "Example" in result.stdout
    assert f"threedident {name}" in result.stdout
    assert "\b" not in result.stdout


def test_version() -> None:
    assert __version__ in cli("--version").stdout


def test_mistakes_take_one_line() -> None:
    assert "expected one of render, verify" in refused("paint")
    assert "--colour: expected an option of threedident render" in refused("render", "--colour")
    assert "--frame" in refused("--frame")
    assert "Missing argument" in refused("verify")


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


def test_progress_on_a_terminal_is_a_bar() -> None:
    script = (
        "from threedident.progress import progress\n"
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


def test_module_and_script_are_one() -> None:
    assert command("--help")[1:3] == ["-m", "threedident"]
    assert cli("--help").stdout.startswith("Usage: threedident")
