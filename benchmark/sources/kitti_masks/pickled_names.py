"""The names that a pickle of plain data may contain, and their meaning in Python and numpy.

No name is imported, and no function named by a file is called. An array is made from its shape,
type and bytes, if the number of bytes fits.
"""

from __future__ import annotations

import math
import re
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHOWN = 60  # largest number of characters of a message that come from a file
_MOST_AXES = 8
_DTYPE = re.compile(r"b1|[iu][1248]|f[248]")
_DTYPE_STATE = (None, None, None, -1, -1, 0)  # after the byte order: no fields, no padding


class Name(Enum):
    """The names that a file may contain."""

    RECONSTRUCT = "_reconstruct"
    ARRAY = "ndarray"
    DTYPE = "dtype"
    FROM_BUFFER = "_frombuffer"  # protocol 5
    ENCODE = "encode"  # makes bytes in protocol 2
    BYTES = "bytes"  # makes empty bytes in protocol 2


_NAMES = {
    "_codecs.encode": Name.ENCODE,
    "__builtin__.bytes": Name.BYTES,
    "numpy.core.numeric._frombuffer": Name.FROM_BUFFER,  # numpy 1
    "numpy._core.numeric._frombuffer": Name.FROM_BUFFER,
    "numpy.core.multiarray._reconstruct": Name.RECONSTRUCT,  # numpy 1
    "numpy._core.multiarray._reconstruct": Name.RECONSTRUCT,
    "numpy.ndarray": Name.ARRAY,
    "numpy.dtype": Name.DTYPE,
}


class Forbidden(Exception):  # noqa: N818
    """Error for a file that contains more than plain data. The message names what it contains."""


def named(module: Any, name: Any) -> Name:
    """The allowed name for a global of a pickle.

    Raises:
        Forbidden: plain data do not need this global.
    """
    if not (isinstance(module, str) and isinstance(name, str)):
        raise Forbidden("a global whose name is no text")
    dotted = f"{module}.{name}"
    if dotted not in _NAMES:
        shown = dotted.encode("unicode_escape").decode()
        raise Forbidden(f"the global {shown[:SHOWN]}")
    return _NAMES[dotted]


def called(function: Any, arguments: Any) -> Any:
    """The result that a call would have: an array, an empty array to fill, a dtype, or bytes.

    Raises:
        Forbidden: plain data do not need this call.
    """
    match function, arguments:
        case Name.ENCODE, (str(text), "latin1"):
            return text.encode("latin1")
        case Name.BYTES, ():
            return b""
        case Name.FROM_BUFFER, (bytes(raw), np.dtype() as dtype, tuple(shape), "C" | "F" as way):
            return _fill(_unfilled(), shape, dtype, way == "F", raw)
        case Name.RECONSTRUCT, (Name.ARRAY, (0,), b"b"):
            return _unfilled()
        case Name.DTYPE, (str(code), *_) if _DTYPE.fullmatch(code):
            return np.dtype(f"<{code}")
        case Name.DTYPE, (str(code), *_):
            shown = code.encode("unicode_escape").decode()
            raise Forbidden(f"an array of the type {shown[:SHOWN]}")
    what = function.value if isinstance(function, Name) else f"a {type(function).__name__}"
    raise Forbidden(f"a call of {what} that is not needed for a numpy array")


def _unfilled() -> NDArray[Any]:
    return np.ndarray((0,), np.int8)


def build(state: Any, target: Any) -> None:
    """Fill an array or a dtype from its state.

    Raises:
        Forbidden: it is not the state of a plain array.
    """
    match target, state:
        case np.dtype(), (3 | 4, "<" | "|", *rest) if tuple(rest) == _DTYPE_STATE:
            return
        case np.ndarray(), (1, tuple(shape), np.dtype() as dtype, bool(fortran), bytes(raw)):
            _fill(target, shape, dtype, fortran, raw)
        case _:
            raise Forbidden(f"a state of {type(target).__name__} that is not of a plain array")


def _fill(
    array: NDArray[Any], shape: tuple[Any, ...], dtype: np.dtype[Any], fortran: bool, raw: bytes
) -> NDArray[Any]:
    whole = all(isinstance(edge, int) and 0 <= edge <= len(raw) for edge in shape)
    if not (whole and len(shape) <= _MOST_AXES):
        raise Forbidden(f"an array whose {len(raw)} bytes do not fill its shape")
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise Forbidden(f"an array of shape {shape}, {dtype}, in {len(raw)} bytes")
    state: Any = (1, shape, dtype, fortran, raw)
    array.__setstate__(state)
    return array
