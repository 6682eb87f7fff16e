"""Damage to npy files: arrays of other types, shapes, orders and values, and headers that lie."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.fuzz.damage.edits import Edit, damages

Make = Callable[[NDArray[Any]], bytes]


def _saved(array: NDArray[Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def _header(text: str, version: tuple[int, int] = (1, 0)) -> Make:
    """The bytes of an array below a header of one's own."""

    def make(array: NDArray[Any]) -> bytes:
        size = 2 if version == (1, 0) else 4
        line = text.replace("SHAPE", str(array.shape)).encode("utf-8", "surrogatepass") + b"\n"
        length = (len(line) % 256**size).to_bytes(size, "little")
        return b"\x93NUMPY" + bytes(version) + length + line + array.tobytes()

    return make


def _with(value: float, row: int = 0) -> Make:
    def make(array: NDArray[Any]) -> bytes:
        changed = array.copy()
        if array.size and array.dtype.kind in "iuf":
            with np.errstate(all="ignore"):
                flat = changed.reshape(-1)
                flat[row % flat.size] = np.float64(value).astype(array.dtype)
        return _saved(changed)

    return make


def _as(kind: str) -> Make:
    def make(array: NDArray[Any]) -> bytes:
        with np.errstate(all="ignore"):
            return _saved(array.astype(kind), allow_pickle=True)

    return make


def _zip(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=array)
    return buffer.getvalue()


def _structured(array: NDArray[Any]) -> bytes:
    return _saved(np.zeros(len(array) if array.ndim else 1, [("a", "<f4", (3,)), ("b", "<i8")]))


_LIKE = "{'descr': '<f4', 'fortran_order': False, 'shape': SHAPE, }"
_ARRAYS: dict[str, Make] = {
    **{f"as {kind}": _as(kind) for kind in ("f8", "f2", ">f4", "i8", "u1", "?", "c8", "S3", "U2")},
    **{f"as {kind}": _as(kind) for kind in ("O", "m8[s]", "M8[s]", "g", "V5")},
    "structured": _structured,
    "archive": _zip,
    "pickle": lambda a: pickle.dumps(a),
    "one number": lambda a: _saved(a.reshape(-1)[0] if a.size else a),
    "no rows": lambda a: _saved(a[:0]),
    "flat": lambda a: _saved(a.reshape(-1)),
    "one more axis": lambda a: _saved(a[None]),
    "thirty axes": lambda a: _saved(a.reshape((*a.shape, *(1,) * 28))),
    "by columns": lambda a: _saved(np.asfortranarray(a)),
    "turned": lambda a: _saved(a.T),
    "reversed": lambda a: _saved(a[::-1]),
    "a row less": lambda a: _saved(a[:-1]),
    "a row more": lambda a: _saved(np.concatenate([a, a[:1]])),
    "columns less": lambda a: _saved(a[..., :-1]),
    "columns more": lambda a: _saved(np.concatenate([a, a[..., :1]], axis=-1)),
    "half": lambda a: _saved(a * a.dtype.type(0.5) if a.dtype.kind == "f" else a // 2),
    **{f"with {v}": _with(v, 7) for v in (np.nan, np.inf, -np.inf, 1.0, -1.0, 2.0, 1e30, -1e38)},
    **{f"with {v}": _with(v, 3) for v in (1.0000001, 1e-40, -0.0, 0.0, 2.0**40)},
    "claims much": _header(_LIKE.replace("SHAPE", f"({10**9}, 10)")),
    "claims more than memory": _header(_LIKE.replace("SHAPE", f"({2**62}, 10)")),
    "claims too much to count": _header(_LIKE.replace("SHAPE", f"({10**30},)")),
    "claims less than none": _header(_LIKE.replace("SHAPE", "(-1, 10)")),
    "claims nothing of much": _header(_LIKE.replace("SHAPE", f"(0, {10**18}, {10**18})")),
    "shape of a truth": _header(_LIKE.replace("SHAPE", "(True, 10)")),
    "shape of no numbers": _header(_LIKE.replace("SHAPE", "('a', None)")),
    "shape of floats": _header(_LIKE.replace("SHAPE", "(1.0, 10.0)")),
    "no shape": _header("{'descr': '<f4', 'fortran_order': False, }"),
    "more fields": _header(_LIKE.replace("}", "'more': 1}")),
    "fields again": _header(_LIKE.replace("}", "'shape': (1,), }")),
    "a call": _header("__import__('os').system('true')"),
    "no type": _header(_LIKE.replace("'<f4'", "'nonsense'")),
    "a type of code": _header(_LIKE.replace("'<f4'", "[('a', '<f4'), ('a', '<f4')]")),
    "a type of text": _header(_LIKE.replace("'<f4'", "'<U1000000000'")),
    "a type of nothing": _header(_LIKE.replace("'<f4'", "'<V0'")),
    "a type of nothing in rows": _header(_LIKE.replace("'<f4'", "'S0'")),
    "deep header": _header("(" * 5000 + ")" * 5000),
    "deep signs": _header("{'descr': " + "-" * 9000 + "1}"),
    "long header": _header(_LIKE + " " * 60_000),
    "long header of version 2": _header(_LIKE + " " * 500_000, (2, 0)),
    "version 2": _header(_LIKE, (2, 0)),
    "version 3": _header(_LIKE.replace("SHAPE", "SHAPE, '\u00e9': 1"), (3, 0)),
    "version 3 of nonsense": _header("\ud800" + _LIKE, (3, 0)),
    "version 9": _header(_LIKE, (9, 9)),
    "terminal": _header("\x1b[2J\x07" + _LIKE),
    "long digits": _header(_LIKE.replace("SHAPE", "(" + "9" * 5000 + ",)")),
    "no file of arrays": lambda _: b"PK\x03\x04" + bytes(100),
    "only a magic": lambda _: b"\x93NUMPY",
}


@dataclass(frozen=True)
class Array:
    """Another array, or another header, in place of one."""

    name: str

    def __call__(self, content: bytes) -> bytes:
        try:
            array = np.load(io.BytesIO(content), allow_pickle=False)
            if not array.size or array.dtype.kind not in "biuf":  # numpy crashes on some others
                return content
            return _ARRAYS[self.name](array)
        except Exception:  # an edit before this one left no array
            return content


array_edits: st.SearchStrategy[Edit] = st.builds(Array, st.sampled_from(list(_ARRAYS)))
array_damage = damages(array_edits, array_edits)
