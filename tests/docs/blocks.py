"""Code in the pages that people read: fenced blocks, and commands within a line."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import threedident

ROOT = Path(threedident.__file__).parents[1]
ROOMS = ("threedident", "render", "benchmark")
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").rglob("*.md")),
)
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_INLINE = re.compile(r"`((?:threedident|python -m|torchrun) [^`]+)`")
_NAMES = re.compile(r"(?:python -m )?threedident(?: [a-z]+)*")
_ENDS = {"|", "&&", "||", ";"}
_ASSIGNMENT = re.compile(r"[A-Z_]+=.*")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Arguments:
        place: page and line, for people.
        language: what stands behind the fence.
        title: the name of the file that the block is, or None.
        text: its content, without the fence's indent.
    """

    place: str
    language: str
    title: str | None
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    content = page.read_text()
    for found in _FENCE.finditer(content):
        line = content.count("\n", 0, found.start()) + 1
        language, _, rest = found["info"].strip().partition(" ")
        title = re.search(r'title="([^"]+)"', rest)
        yield Block(
            place=f"{page.relative_to(ROOT)}:{line}",
            language=language,
            title=title[1] if title else None,
            text=textwrap.dedent(found["text"]),
        )


def every_block() -> list[Block]:
    """The fenced blocks of all pages."""
    return [block for page in PAGES for block in blocks(page)]


def without_blocks(page: Path) -> str:
    """The text of a page beside its fenced blocks."""
    return _FENCE.sub("", page.read_text())


def inline_commands(page: Path) -> list[str]:
    """The command lines in text and tables of a page; ``--help`` for those that are named only."""
    found = (line.replace("\n", " ") for line in _INLINE.findall(without_blocks(page)))
    return [f"{line} --help" if _NAMES.fullmatch(line) else line for line in found]


def commands(text: str) -> Iterator[list[str]]:
    """The words of each command of a shell script, without comments and assignments before it."""
    for line in text.replace("\\\n", " ").splitlines():
        words: list[str] = []
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;")
        lexer.whitespace_split = True
        for word in [*lexer, ";"]:
            if word not in _ENDS:
                words.append(word)
            elif words:
                while _ASSIGNMENT.fullmatch(words[0]):
                    words = words[1:]
                yield words
                words = []
