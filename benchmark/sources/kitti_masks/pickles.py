"""Safe reading of pickles of plain data: lists, tuples, dicts, texts, numbers and numpy arrays.

A pickle is a program, and Python's unpickler calls every function that the pickle names. The
machine in this module knows only the instructions that protocols 2 to 5 need for plain data. It
calls no named function: it knows the meaning of six names in Python and numpy, and refuses all
others. It accepts an array only if the number of bytes fits the shape. So a file can be wrong,
but not dangerous.

References:
    pickletools, the Python Software Foundation, 2001, with a description of every instruction,
    https://docs.python.org/3/library/pickletools.html
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.sources.kitti_masks.pickled_names import (
    SHOWN,
    Forbidden,
    Name,
    build,
    called,
    named,
)
from threedident.runtime.errors import DATA, advise
from threedident.runtime.files import read_plain

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = re.compile(r"BININT[12]?|LONG1|BINFLOAT|(SHORT_)?BIN(UNICODE|BYTES)|BIN(UNICODE|BYTES)8")
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
}
_LARGEST = 2**34  # bytes
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def load_pickle(path: Path) -> Any:
    """The plain data in a pickle of protocol 2 to 5, which may come from an untrusted source.

    Arrays must contain booleans, integers or real numbers, little-endian, and must not be empty.
    Code in the file is never run.

    Arguments:
        path: path of the file.

    Raises:
        ValueError: the file is missing, damaged, or contains something else.
    """
    content = _read(path)
    try:
        return _Machine(len(content)).run(content)
    except Forbidden as error:
        again = "" if content[:1] == b"\x80" else ", or write it again with protocol=4"
        raise ValueError(
            f"{path}: expected a pickle of only texts, numbers and numpy arrays, found {error}; "
            f"nothing of it was run, take the file from where it was published{again}"
        ) from None
    except Exception as error:  # damaged files raise many kinds of errors
        raise ValueError(
            f"{path}: expected a whole pickle, found none ({_one_line(error)}); download the file "
            "again"
        ) from None


def _read(path: Path) -> bytes:
    try:
        return read_plain(path, _LARGEST)
    except OSError as error:
        advice = advise(path, Path.is_file, "check the path", DATA)
        raise ValueError(
            f"{path}: expected a pickle, found no file to read ({error.strerror}); {advice}"
        ) from None


class _Machine:
    """The machine that executes the instructions of one pickle, with its stack and memo.

    Arguments:
        size: size of the file in bytes, which limits the size of the data.
    """

    def __init__(self, size: int) -> None:
        self._left = 2 * size  # a text may be converted to bytes, and the bytes to an array
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # one stack for each mark
        self._memo: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        """The value that the pickle contains."""
        for instruction, argument, _ in pickletools.genops(content):
            if instruction.name == "STOP":
                break
            self._step(instruction.name, argument)
        return self._stack.pop()

    def _step(self, name: str, argument: Any) -> None:
        if _VALUES.fullmatch(name):
            self._stack.append(argument)
        elif name in _CONSTANTS:
            self._stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self._stack.append(_EMPTY[name]())
        elif name in _TUPLES:
            self._stack.append(tuple(self._take(_TUPLES[name])))
        else:
            self._do(name, argument)

    def _do(self, name: str, argument: Any) -> None:
        """Execute an instruction that does more than put a value on the stack."""
        stack = self._stack
        match name:
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                self._below.append(stack)
                self._stack = []
            case "TUPLE":
                items = self._unmark()
                self._stack.append(tuple(items))
            case "APPENDS" | "APPEND":
                _append(self._items(name), self._stack[-1])
            case "SETITEMS" | "SETITEM":
                _set(self._items(name), self._stack[-1])
            case "MEMOIZE" | "BINPUT" | "LONG_BINPUT":
                self._memo[len(self._memo) if argument is None else argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self._recall(argument))
            case "GLOBAL":
                stack.append(named(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                stack.append(named(*self._take(2)))
            case "REDUCE":
                stack.append(self._call(*self._take(2)))
            case "BYTEARRAY8":
                stack.append(bytes(argument))
            case "BUILD":
                build(stack.pop(), stack[-1])
                if isinstance(stack[-1], np.ndarray):
                    self._charge(stack[-1])
            case _:
                raise Forbidden(f"the instruction {name}")

    def _call(self, function: Any, arguments: Any) -> Any:
        """The result that a call would have."""
        found = called(function, arguments)
        if function in (Name.ENCODE, Name.FROM_BUFFER):
            self._charge(found)
        return found

    def _charge(self, made: Any) -> None:
        """Count the size of new data, and refuse more data than the file can contain.

        This stops files that create data from the same bytes again and again.

        Raises:
            Forbidden: there are too many bytes.
        """
        self._left -= made.nbytes if isinstance(made, np.ndarray) else len(made)
        if self._left < 0:
            raise Forbidden("more bytes than the file has")

    def _recall(self, number: int) -> Any:
        if number not in self._memo:
            raise ValueError("a value is used that was not kept")
        return self._memo[number]

    def _take(self, count: int) -> list[Any]:
        """Remove the top ``count`` values from the stack, and return them."""
        if count > len(self._stack):
            raise ValueError("values are missing")
        taken = self._stack[-count:]
        del self._stack[-count:]
        return taken

    def _unmark(self) -> list[Any]:
        """Remove the last mark and all values above it, and return the values."""
        items, self._stack = self._stack, self._below.pop()
        return items

    def _items(self, name: str) -> list[Any]:
        """The items to add to a list or a dict: all values above the mark, or one item."""
        if name.endswith("S"):
            return self._unmark()
        return self._take(1 if name == "APPEND" else 2)


def _append(items: list[Any], target: Any) -> None:
    if not isinstance(target, list):
        raise Forbidden(f"items for a {type(target).__name__} as if it were a list")
    target.extend(items)


def _set(items: list[Any], target: Any) -> None:
    keys, values = items[::2], items[1::2]
    if not isinstance(target, dict):
        raise Forbidden(f"items for a {type(target).__name__} as if it were a dict")
    if not all(isinstance(key, str) for key in keys):  # hashing deep tuples overflows C's stack
        raise Forbidden("a dict whose keys are no texts")
    target.update(zip(keys, values, strict=True))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:SHOWN] or type(error).__name__
