"""Option types of the commands, shell completion, and help with options under headings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from threedident.runtime.errors import nearest, unknown

_SEED = re.compile(r"[0-9]{1,19}")

Completion = Callable[[click.Context, click.Parameter, str], list[str]]


class Choice(click.Choice):  # type: ignore[type-arg]  # generic since click 8.2
    """A name from a closed list. The error for any other name suggests the most similar one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The name, checked."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            option = "value" if param is None else param.opts[0]
            raise click.UsageError(unknown(option, value, self.choices), ctx) from None


class Seed(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2
    """An integer from 0 to 2^63 - 1."""

    name = "integer"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The seed, checked."""
        from threedident.latents.philox import check_seed

        text = str(value)
        try:
            return check_seed(int(text) if _SEED.fullmatch(text) else text)
        except ValueError as error:
            option = "seed" if param is None else param.opts[0]
            raise click.UsageError(f"{option}: {error}".replace(": seed:", ":"), ctx) from None


class NewFile(click.Path):
    """Path of a file to write, checked before any work begins.

    Its folder must exist. An existing file is replaced; a device, a pipe or a socket is refused.

    Arguments:
        parents: True if missing parent folders will be created, so that they need not exist.
    """

    def __init__(self, parents: bool = False) -> None:
        super().__init__(path_type=Path)
        self._parents = parents

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path, checked."""
        path: Any = super().convert(value, param, ctx)
        option = "path" if param is None else param.opts[0]
        if path.is_dir():
            raise click.UsageError(
                f"{option}: expected a file to write, found the folder {path}; name a file in it",
                ctx,
            )
        if path.exists() and not path.is_file():
            raise click.UsageError(
                f"{option}: expected a plain file, or none, found another kind at {path}; give "
                "another path",
                ctx,
            )
        if not self._parents and not path.parent.is_dir():
            raise click.UsageError(
                f"{option}: expected {path} in a folder that exists, found none; create "
                f"{path.parent}",
                ctx,
            )
        return path


def completed(names: Iterable[str]) -> Completion:
    """A shell completion from a list of names, for an option that takes other values too."""
    known = tuple(names)
    return lambda ctx, param, begun: [name for name in known if name.startswith(begun)]  # noqa: ARG005


class Group(click.Group):
    """A command with subcommands. The error for an unknown one suggests the most similar name."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand that the first argument names, and the remaining arguments."""
        known = self.list_commands(ctx)
        if args[0] not in known and not ctx.resilient_parsing:
            raise click.UsageError(unknown("command", args[0], known), ctx)
        return super().resolve_command(ctx, args)


class HeadedCommand(click.Command):
    """A command whose help shows its options under headings.

    Arguments:
        headings: names of the options under each heading; all others appear under ``Other``.
    """

    def __init__(self, *args: Any, headings: Mapping[str, Sequence[str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.headings = headings

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write every option under its heading."""
        records = {param.name: param.get_help_record(ctx) for param in self.get_params(ctx)}
        headed = {name for names in self.headings.values() for name in names}
        other = [name for name in records if name not in headed]
        for heading, names in {**self.headings, "Other": other}.items():
            with formatter.section(heading):
                formatter.write_dl([record for name in names if (record := records[name])])


class HeadedGroup(HeadedCommand, Group):
    """A command with headed options that also has subcommands, listed below them."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write every option under its heading, and then the subcommands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)


def no_such_option(error: click.NoSuchOption) -> str:
    """Error line for an option that a command does not have."""
    command = "the command" if error.ctx is None else error.ctx.command_path
    near = nearest(error.option_name, error.possibilities or ())
    advice = f"{command} --help lists them" if near is None else f"did you mean {near!r}?"
    return f"{error.option_name}: expected an option of {command}, found another; {advice}"
