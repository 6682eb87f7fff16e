"""Damage to pickles and to checkpoints of torch: other values, and other instructions."""

from __future__ import annotations

import io
import pickle
import pickletools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from tests.fuzz.damage.edits import Edit, damages


class _Call:
    """What calls a harmless function when Python's own reader opens it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("called",)


def _cycle() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


def _deep(depth: int = 400) -> list[Any]:
    items: list[Any] = []
    for _ in range(depth):
        items = [items]
    return items


VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "zero": 0,
    "minus one": -1,
    "large": 10**30,
    "huge": 10**5000,
    "half": 0.5,
    "NaN": float("nan"),
    "infinity": float("inf"),
    "text": "text",
    "terminal": "\x1b[2J\n" * 50,
    "surrogate": "\ud800",
    "long text": "x" * 100_000,
    "bytes": b"\0" * 50,
    "list": [],
    "numbers": [1, 2, 3],
    "texts": ["a", "b"],
    "dict": {},
    "numbered": {1: 2},
    "cycle": _cycle(),
    "deep": _deep(),
    "pair": (1, 64, 64),
    "shape of floats": (1.5, 64, 64),
    "large shape": (1, 10**6, 10**6),
    "set": {1},
    "complex": 1j,
    "a type": int,
    "a call": _Call(),
    "array": np.zeros(3, np.float32),
    "masks": np.zeros((3, 16, 16), bool),
    "latents": np.zeros((3, 3), np.float32),
    "empty": np.zeros((0, 16, 16), bool),
    "NaNs": np.full((4, 3), np.nan, np.float32),
    "objects": np.array([None]),
    "dates": np.zeros(3, "M8[s]"),
    "big-endian": np.zeros((4, 3), ">f4"),
    "by columns": np.asfortranarray(np.ones((4, 3), np.float32)),
    "a number of numpy": np.float64(3),
    "tensor": torch.zeros(3),
    "no numbers": torch.full((10, 12), float("nan")),
    "infinities": torch.full((10,), float("inf")),
    "one number": torch.tensor(1.0),
    "whole numbers": torch.zeros((10, 12), dtype=torch.int64),
    "complex tensor": torch.zeros((10, 12), dtype=torch.complex64),
    "half numbers": torch.zeros((10, 12), dtype=torch.float16),
    "stretched": torch.zeros(1).expand(10**9),
    "empty tensor": torch.zeros((0, 12)),
    "tensor of nowhere": torch.zeros((10, 12), device="meta"),
}


def _places(value: Any, depth: int = 0) -> list[tuple[Any, Any]]:
    """Every entry of nested dicts and lists, as the container and the key."""
    if depth > 6:
        return []
    if isinstance(value, dict):
        keys: Any = list(value)
    elif isinstance(value, list):
        keys = range(len(value))
    else:
        return []
    found = [(value, key) for key in keys]
    return found + [place for key in keys for place in _places(value[key], depth + 1)]


@dataclass(frozen=True)
class Entry:
    """Another value at one place of what was saved.

    Arguments:
        how: what is done.
        at: number of the place.
        name: of the value.
        protocol: of the pickle.
    """

    how: str
    at: int
    name: str
    protocol: int

    def edit(self, whole: Any) -> Any:
        """The whole with the edit."""
        places = _places(whole)
        if self.how == "top" or not places:
            return VALUES[self.name]
        container, key = places[self.at % len(places)]
        match self.how:
            case "put":
                container[key] = VALUES[self.name]
            case "drop":
                del container[key]
            case "copy":
                other, there = places[(7 * self.at + 3) % len(places)]
                container[key] = other[there] if other is not container else VALUES[self.name]
            case _ if isinstance(container, dict):
                container["more" if self.at % 2 else self.at] = VALUES[self.name]
            case _:
                container.append(container[key])
        return whole

    def __call__(self, content: bytes) -> bytes:
        try:
            return pickle.dumps(self.edit(pickle.loads(content)), protocol=self.protocol)
        except Exception:  # an edit before this one left no pickle
            return content


class State(Entry):
    """The same of a checkpoint, as torch writes it."""

    def __call__(self, content: bytes) -> bytes:
        try:
            whole = self.edit(torch.load(io.BytesIO(content), weights_only=True))
            buffer = io.BytesIO()
            torch.save(whole, buffer)
        except Exception:  # the same
            return content
        return buffer.getvalue()


@dataclass(frozen=True)
class Instructions:
    """An edit of the instructions of a pickle."""

    how: str
    at: int
    other: int

    def __call__(self, content: bytes) -> bytes:
        try:
            starts = [place for _, _, place in pickletools.genops(content) if place is not None]
        except Exception:  # the same
            return content
        ends = [*starts[1:], len(content)]
        pieces = [content[a:b] for a, b in zip(starts, ends, strict=True)]
        at, other = self.at % len(pieces), self.other % len(pieces)
        match self.how:
            case "drop":
                del pieces[at]
            case "twice":
                pieces.insert(at, pieces[at])
            case "swap":
                pieces[at], pieces[other] = pieces[other], pieces[at]
            case "many":
                pieces[at] = pieces[at] * 3000
            case _:
                code = pickletools.opcodes[self.other % len(pickletools.opcodes)].code
                pieces.insert(at, code.encode("latin1") + bytes(self.other % 9))
        return b"".join(pieces)


_HOWS = ("put", "put", "put", "drop", "copy", "more", "again", "top")
_entry: dict[str, Any] = {
    "how": st.sampled_from(_HOWS),
    "at": st.integers(0, 400),
    "name": st.sampled_from(list(VALUES)),
    "protocol": st.integers(0, 5),
}
state_edits: st.SearchStrategy[Edit] = st.builds(State, **_entry)
pickle_damage = damages(
    st.builds(Entry, **_entry),
    st.builds(
        Instructions,
        how=st.sampled_from(("drop", "twice", "swap", "many", "insert", "insert")),
        at=st.integers(0, 400),
        other=st.integers(0, 400),
    ),
    huge=False,
)
