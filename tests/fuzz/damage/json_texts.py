"""Damage to JSON: a value anywhere replaced by one that no reader hopes for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.damage.edits import Edit, damages, encodings, line_edits

_DEEP = 100_000

HOSTILE = {
    "null": "null",
    "true": "true",
    "false": "false",
    "zero": "0",
    "minus one": "-1",
    "one": "1",
    "two": "2",
    "half": "0.5",
    "minus zero": "-0.0",
    "whole float": "3.0",
    "2^31": str(2**31),
    "2^53 + 1": str(2**53 + 1),
    "2^63 - 1": str(2**63 - 1),
    "2^63": str(2**63),
    "2^64": str(2**64),
    "minus 2^63": str(-(2**63)),
    "10^400": "1" + "0" * 400,
    "5000 digits": "9" * 5000,
    "1e308": "1e308",
    "1e400": "1e400",
    "tiny": "5e-324",
    "NaN": "NaN",
    "infinity": "Infinity",
    "minus infinity": "-Infinity",
    "no text": '""',
    "space": '" "',
    "number as text": '"12"',
    "path": '"../../../../etc/passwd"',
    "markup": '"<script>alert(1)</script>"',
    "terminal": '"\\u001b[2J\\u0007\\u0000"',
    "raw control": '"\x1b[2J\x00"',
    "lines": '"a\\nb\\r\\nthreedident: c"',
    "surrogate": '"\\ud800"',
    "raw surrogate": '"\udcff"',
    "backwards": '"\\u202eabc\\u2066"',
    "accents": '"e' + "\\u0301" * 300 + '"',
    "other digits": '"\u0661\u00b2"',
    "long text": '"' + "x" * 100_000 + '"',
    "format": '"{0} %s {x!r}"',
    "digest": '"' + "0123456789abcdef" * 4 + '"',
    "date": '"2026-02-30"',
    "no list": "[]",
    "list of nulls": "[null, null]",
    "list of a list": "[[0.5]]",
    "wide list": "[" + "0.5," * 20_000 + "0]",
    "deep list": "[" * _DEEP + "]" * _DEEP,
    "deep end": "[" * _DEEP,
    "deep object": '{"a":' * _DEEP + "0" + "}" * _DEEP,
    "less deep list": "[" * 900 + "]" * 900,
    "no object": "{}",
    "object": '{"a": 1, "b": [2]}',
    "wide object": "{" + ",".join(f'"k{i}": {i}' for i in range(5000)) + "}",
    "nothing": "",
    "word": "none",
}
_KEYS = (
    "",
    "x",
    "seed",
    "__class__",
    "\ud800",
    "<b>",
    "\x1b[2J",
    "a\nb",
    "y" * 5000,
    "n",
    "\u0661",
)


class Raw(str):
    """JSON that is put in as it is."""

    __slots__ = ()


class Members(list[tuple[str, Any]]):
    """An object's members in order, names that stand twice included."""


def _nodes(value: Any) -> Iterator[tuple[Any, int]]:
    """Every value below the top, as its container and its place there."""
    if isinstance(value, list):
        for place, item in enumerate(list(value)):
            yield value, place
            yield from _nodes(item[1] if isinstance(value, Members) else item)


def _get(container: Any, place: int) -> Any:
    return container[place][1] if isinstance(container, Members) else container[place]


def _put(container: Any, place: int, value: Any) -> None:
    is_object = isinstance(container, Members)
    container[place] = (container[place][0], value) if is_object else value


def spell(value: Any) -> str:
    """The JSON of a tree of members, lists and plain values."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Members):
        return "{" + ", ".join(f"{json.dumps(k)}: {spell(v)}" for k, v in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(spell, value)) + "]"
    return json.dumps(value)


@dataclass(frozen=True)
class Json:
    """An edit of one value of a JSON text.

    Arguments:
        how: what is done.
        at: number of the value, beyond the last one counted from the first again.
        name: of a hostile value.
        other: number of another value, or of a name.
    """

    how: str
    at: int
    name: str
    other: int

    def __call__(self, content: bytes) -> bytes:
        try:
            return self._edited(content)
        except (ValueError, RecursionError):  # no JSON, or nested deeper than Python can follow
            return content

    def _edited(self, content: bytes) -> bytes:
        tree = json.loads(content, object_pairs_hook=Members)
        nodes = list(_nodes(tree))
        if self.how == "top" or not nodes:
            return self._bytes(Raw(HOSTILE[self.name]))
        container, place = nodes[self.at % len(nodes)]
        self._edit(container, place, nodes)
        return self._bytes(tree)

    def _edit(self, container: Any, place: int, nodes: list[tuple[Any, int]]) -> None:
        hostile, key = Raw(HOSTILE[self.name]), _KEYS[self.other % len(_KEYS)]
        match self.how:
            case "put":
                _put(container, place, hostile)
            case "drop":
                del container[place]
            case "copy":
                _put(container, place, Raw(spell(_get(*nodes[self.other % len(nodes)]))))
            case "twice":
                there = container[place]
                container.insert(self.other % (len(container) + 1), there)
            case "extra" if isinstance(container, Members):
                container.append((key, hostile))
            case "name again" if isinstance(container, Members):
                container.append((container[place][0], hostile))
            case "rename" if isinstance(container, Members):
                container[place] = (key, container[place][1])
            case _:
                container.append(container[0])

    @staticmethod
    def _bytes(tree: Any) -> bytes:
        return spell(tree).encode("utf-8", "surrogateescape")


json_edits: st.SearchStrategy[Edit] = st.builds(
    Json,
    how=st.sampled_from(
        (
            *("put", "put", "put", "put", "drop", "copy", "copy", "twice", "extra", "name again"),
            *("rename", "top"),
        )
    ),
    at=st.integers(0, 400),
    name=st.sampled_from(list(HOSTILE)),
    other=st.integers(0, 400),
)


@dataclass(frozen=True)
class OneLine:
    """An edit of one line of many."""

    at: int
    edit: Edit

    def __call__(self, content: bytes) -> bytes:
        lines = content.split(b"\n")
        place = self.at % max(1, len(lines) - 1)
        lines[place] = self.edit(lines[place])
        return b"\n".join(lines)


json_damage = damages(json_edits, json_edits, json_edits, encodings)
log_edits: st.SearchStrategy[Edit] = st.builds(OneLine, st.integers(0, 50), json_edits)
log_damage = damages(log_edits, log_edits, line_edits, encodings, huge=False)
