"""Every fenced block of the pages works: Python is executed, shell lines are parsed or run."""

from __future__ import annotations

import ast
import importlib
import io
import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import types
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import click
import pytest

from benchmark.runs.completion import complete
from benchmark.runs.options import OPTIONS, Options
from benchmark.suites.suite import TABLES
from render.options import machines
from tests.docs.blocks import (
    PAGES,
    ROOMS,
    ROOT,
    Block,
    blocks,
    commands,
    every_block,
    inline_commands,
    without_blocks,
)
from tests.docs.drawn import drawn
from threedident.cli import main, run, threedident
from threedident.conditionals.law import Law
from threedident.conditionals.rules.spelling import parse_conditional
from threedident.latents.spaces import parse_fixed

# What a reader sees behind a fence, and what is done with such a block.
LANGUAGES = {"python", "sh", "bash", "fish", "bibtex", "text"}
# Files of blocks that read a command line, and the test that runs each.
RUN_BY = {"plain.py": "test_the_documented_submission_without_our_code"}
# Commands that are cheap enough to be run to their end.
CHEAP = {
    f"threedident {name}"
    for name in (
        *("info", "verify", "preview", "pack", "export", "compare"),
        *("leaderboard build", "leaderboard entries"),
    )
}
HELP = click.Option(["--help"])
SMALL = ("--batch-size", "32", "--device", "cpu", "--workers", "0", "--steps", "4")


def of(language: str) -> list[Any]:
    return [pytest.param(b, id=b.place) for b in every_block() if b.language == language]


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data sets and the run that pages name, all of them small."""
    root = tmp_path_factory.mktemp("furnished")
    for name in ("demo", "small", "3dident"):
        drawn(root / "data" / name, *((640, 256) if name == "demo" else (24, 8)))
    drawn(
        *(root / "data" / "pairs", 24, 8), conditional="normal:0.1", annotations=("mask", "depth")
    )
    arguments = ("--encoder", "conv", "--data", str(root / "data/demo"), *SMALL)
    finished(main, ["benchmark", *arguments, "--out", str(root / "runs/demo")])
    shutil.copytree(root / "runs/demo", root / "runs/mine")
    finished(main, ["pack", str(root / "data/demo")])
    return root


@pytest.fixture
def folder(
    furnished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Path:
    """The working folder of a block: its own, with the data sets that it names, and the runs."""
    block = request.node.callspec.params.get("block")
    for path in (*(furnished / "data").iterdir(), *(furnished / "runs").iterdir()):
        name = path.relative_to(furnished)
        if name.parts[0] == "runs" or (block is not None and str(name) in block.text):
            shutil.copytree(path, tmp_path / name, copy_function=os.link)
    (tmp_path / "data").mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def finished(command: Callable[[list[str]], None], arguments: list[str]) -> str:
    """What a command prints that ends well."""
    with (
        redirect_stdout(io.StringIO()) as stdout,
        redirect_stderr(io.StringIO()) as stderr,
        pytest.raises(SystemExit) as ended,
    ):
        command(arguments)
    assert ended.value.code == 0, f"{arguments}\n{stderr.getvalue()}"
    return stdout.getvalue()


def test_every_page_names_the_language_of_its_blocks() -> None:
    for block in every_block():
        assert block.language in LANGUAGES, block.place


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_code_hides_from_the_tests(page: Path) -> None:
    """Neither in a fence that is never closed, nor in an indented block."""
    text = without_blocks(page)
    assert "```" not in text
    assert not re.search(r"\n\n {4}(?:threedident|python|import|from|make|pip) ", text)


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_messages_that_are_explained_are_messages() -> None:
    """What troubleshooting quotes stands in the code, whose lines may cut it in two."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    quoted = re.findall(r"^\| `([^`]* [^`]*)`", page, re.MULTILINE)
    modules = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    texts = [path.read_text() for path in (ROOT / "Makefile", *modules)]
    joined = [re.sub(r'"\s*\n\s*f?"', "", text) for text in texts]
    assert quoted
    for message in quoted:
        assert any(message in text for text in joined), message


@pytest.mark.parametrize("block", of("python"))
def test_python(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ast.parse(block.text)
    monkeypatch.syspath_prepend(folder)
    page = ROOT / block.place.rpartition(":")[0]
    write_files(page)
    with redirect_stdout(io.StringIO()):
        if block.title is None:
            module = types.ModuleType("block")
            monkeypatch.setitem(sys.modules, "block", module)
            exec(compile(block.text, block.place, "exec"), module.__dict__)
        elif block.title not in RUN_BY:
            runpy.run_path(block.title)


def write_files(page: Path) -> None:
    """The files of a page, where its other blocks look for them."""
    for block in blocks(page):
        if block.title is not None:
            path = Path(block.title)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)


@pytest.mark.parametrize("name", sorted(RUN_BY))
def test_files_with_a_command_line_are_run_by_a_test(name: str) -> None:
    assert any(block.title == name for block in every_block())
    modules = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    assert any(f"def {RUN_BY[name]}(" in text for text in modules)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[click.Context]:
    """Commands are parsed and not carried out, except those that cost little."""
    found: list[click.Context] = []
    carry_out = click.Command.invoke

    def invoke(self: click.Command, ctx: click.Context) -> Any:
        passes = isinstance(self, click.Group) and ctx.invoked_subcommand is not None
        if passes or (ctx.command_path in CHEAP and is_here(ctx)):
            return carry_out(self, ctx)
        found.append(ctx)
        return None

    monkeypatch.setattr(click.Command, "invoke", invoke)
    return found


def is_here(ctx: click.Context) -> bool:
    """Whether what a command reads is no placeholder."""
    given = ctx.params.get("runs") or (ctx.params.get("data", "."),)
    return all(Path(path).exists() for path in given)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("block", [*of("sh"), *of("bash")])
def test_shell(block: Block, parsed: list[click.Context]) -> None:
    page = ROOT / block.place.rpartition(":")[0]
    write_files(page)  # which hold losses that a command names
    found = list(commands(block.text))
    assert found, "expected a command"
    for words in found:
        check(words, page, block.text)
    for ctx in parsed:
        check_values(ctx)


@pytest.mark.parametrize("block", of("fish"))
def test_fish(block: Block) -> None:
    """Its shell is not here; what it reads is what the command prints."""
    environment, _, rest = block.text.strip().partition(" ")
    name, _, value = environment.partition("=")
    assert rest == "threedident | source"
    assert "complete" in printed_by_bash(f"{name}={value} threedident")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name != "CHANGELOG.md"],  # which names commands of its time
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_commands_within_the_text(page: Path, parsed: list[click.Context]) -> None:
    for line in inline_commands(page):
        for words in commands(line):
            check(with_help(words), page, line)
    for ctx in parsed:
        check_values(ctx)


def with_help(words: list[str]) -> list[str]:
    """``--help`` in place of an option that text names without its value."""
    *names, option = words
    if names[:1] != ["threedident"] or not option.startswith("--") or option == "--version":
        return words
    if not all(re.fullmatch("[a-z]+", name) for name in names):
        return words
    command: Any = threedident
    for name in names[1:]:
        command = command.get_command(click.Context(command), name)
    assert any(option in param.opts for param in [*command.params, HELP]), words
    return [*names, "--help"]


def check(words: list[str], page: Path, text: str) -> None:
    """Check one command of a page, by the program that it starts."""
    program, arguments = words[0], words[1:]
    if program == "threedident":
        finished(main, expanded(arguments))
    elif program in ("python", "torchrun"):
        check_python(program, arguments, page)
    elif program == "make":
        [phony] = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in arguments if "=" not in word} <= set(phony.split())
    elif program == "pip":
        check_pip(arguments)
    else:
        assert program == "eval", f"{program}: expected a program that this test knows"
        assert printed_by_bash(text) == ""


def check_python(program: str, arguments: list[str], page: Path) -> None:
    if program == "torchrun":
        importlib.import_module("torch.distributed.run").get_args_parser().parse_args(
            arguments if "-m" in arguments else [*arguments, "script.py"]
        )
    elif "-m" not in arguments:
        titles = {block.title for block in blocks(page)}
        assert arguments[0] in titles, f"{arguments[0]}: expected a file that {page} shows"
    if "-m" not in arguments:
        return
    at = arguments.index("-m")
    module, rest = arguments[at + 1], arguments[at + 2 :]
    if module == "threedident":
        finished(main, expanded(rest))
    elif module != "mkdocs":
        entry = importlib.import_module(f"{module}.__main__")
        [command] = [
            value
            for name, value in vars(entry).items()
            if isinstance(value, click.Command) and value.callback.__module__ == entry.__name__
        ]
        finished(lambda given: run(command, module, given), rest)


def check_pip(arguments: list[str]) -> None:
    assert arguments[0] == "install"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r"threedident\[(.*?)\]", " ".join(arguments)):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


def expanded(arguments: list[str]) -> list[str]:
    """The arguments with paths in place of patterns, as a shell gives them."""
    found = ((word, "*" in word and sorted(map(str, Path().glob(word)))) for word in arguments)
    return [path for word, paths in found for path in (paths or [word])]


def printed_by_bash(line: str) -> str:
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": places, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, env=environment, check=True
    )
    return result.stdout


def check_values(ctx: click.Context) -> None:
    """Check what a command would refuse after its line is parsed, before any work."""
    given = dict(ctx.params)
    if ctx.info_name == "benchmark":
        suite, rows = given["suite"], given["rows"]
        if suite is not None and rows is not None:
            assert set(rows.split(",")) <= {row.name for row in TABLES[suite].rows}
        names = {name for name in given if name in OPTIONS}
        if suite is None and not given["resume"]:
            options = complete(Options(**{name: given[name] for name in names}))
            if options.conditional is not None:
                Law(options.conditional, options.sigma).conditional(options.space or "box")
    elif ctx.info_name == "render":
        machines(given)
        fixed = parse_fixed(given["fix"], given["space"]) if given["fix"] else {}
        if given["pairs"]:
            parse_conditional(given["pairs"], given["space"], fixed)
        assert given["n"] is None or given["latents"] is None
