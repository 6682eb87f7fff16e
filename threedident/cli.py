"""The command ``threedident``: a table of subcommands, each imported only when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from threedident.options import Group, no_such_option
from threedident.runtime.errors import Interrupted, explain, printable
from threedident.runtime.packages import claim
from threedident.runtime.signals import interruptible

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

USER_ERROR = 2
_LONGEST = 2000  # characters of an error line


class _Entry(NamedTuple):
    place: str
    summary: str


_COMMANDS = {
    "render": _Entry("render.cli:render", "Render a data set, or repair one."),
    "verify": _Entry("threedident.commands:verify", "Name every bad file of a data set."),
    "info": _Entry("threedident.commands:info", "Show settings and statistics of a data set."),
    "preview": _Entry("threedident.commands:preview", "Draw random samples of a data set."),
    "pack": _Entry("threedident.commands:pack", "Put all images of a split into one file."),
    "export": _Entry(
        "threedident.exchange.commands:export", "Write a data set in a layout for other tools."
    ),
    "download": _Entry("threedident.exchange.commands:download", "Fetch the published data set."),
    "traverse": _Entry("render.cli:traverse", "Draw the traversal figure."),
    "benchmark": _Entry("benchmark.cli:benchmark", "Train encoders, score them, write a report."),
    "compare": _Entry("benchmark.comparison.cli:compare", "Rank finished runs by their scores."),
    "leaderboard": _Entry(
        "benchmark.leaderboard.cli:leaderboard", "Submit encoders, verify them, show them."
    ),
    "doctor": _Entry("threedident.doctor:doctor", "Check what this machine can do."),
}


class _Commands(Group):
    """A group that imports a command's module only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name].place.split(":")
        try:
            claim()
        except ImportError as error:
            raise click.ClickException(str(error)) from None
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        begun = [name for name in _COMMANDS if name.startswith(incomplete)]
        found = [CompletionItem(name, help=_COMMANDS[name].summary) for name in begun]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in _COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"show_default": True})
@click.version_option(package_name="threedident")
def threedident() -> None:
    """Render 3DIdent, pair its images, and measure what encoders recover.

    \b
    Example:
        threedident render --n 1000 --resolution 64
        threedident benchmark --encoder resnet18
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    run(threedident, "threedident", arguments)


def run(command: click.Command, name: str, arguments: list[str] | None = None) -> None:
    """Run a command and exit.

    A user's mistake or a signal ends the command with one error line and exit status 2.
    Characters that the terminal's encoding lacks are printed as question marks.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        with interruptible():
            _require_place()
            status = command.main(arguments, prog_name=name, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        status = USER_ERROR
    except click.NoSuchOption as error:
        status = _fail(no_such_option(error))
    except click.ClickException as error:
        status = _fail(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        status = _fail("interrupted")
    except (Interrupted, ValueError) as error:
        status = _fail(str(error))
    except OSError as error:
        status = _fail(f"{explain(error)}, then give the same command again")
    sys.exit(status if isinstance(status, int) else 0)


def _require_place() -> None:
    """Refuse to start in a working folder that no longer exists.

    Raises:
        ValueError: the working folder was deleted.
    """
    try:
        Path.cwd()
    except OSError:
        raise ValueError(
            "working folder: expected it on the disk, found it deleted; change to another one, "
            "then give the same command again"
        ) from None


def _fail(message: str) -> int:
    click.echo(f"threedident: {printable(message, _LONGEST)}", err=True)
    return USER_ERROR
