from __future__ import annotations

import builtins
import collections
import copyreg
import io
import os
import pickle
import pickletools
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.sources.kitti_masks.pickles import load_pickle
from tests.conftest import contents
from tests.pedestrians import make_tracks, published

DTYPES = ["?", "u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8"]


class Call:
    """Pickled as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: object, state: Any = None):
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.pickle"


def refusal(path: Path, content: bytes) -> str:
    """The one line with which a file is refused, which leaves nothing behind."""
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"file\.pickle: expected .*, found ") as caught:
        load_pickle(path)
    assert contents(path.parent) == {path.name: content}
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert len(message) < 400 + len(str(path))
    return message


def assert_same(found: object, expected: object) -> None:
    if isinstance(expected, np.ndarray):
        assert type(found) is np.ndarray
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, dict):
        assert isinstance(found, dict)
        assert list(found) == list(expected)
        assert_same(list(found.values()), list(expected.values()))
    elif isinstance(expected, list | tuple):
        assert type(found) is type(expected)
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b)
    else:
        assert type(found) is type(expected)
        assert found == expected


def values() -> Iterator[object]:
    rng = np.random.default_rng(0)
    for dtype in DTYPES:
        small = rng.integers(0, 2, (3, 4)).astype(dtype)
        large = rng.integers(0, 2, (30, 8, 8)).astype(dtype)
        yield [small, large, small, np.asfortranarray(large), large[::2, :, ::-1]]
    yield {"plain": [None, True, False, 0, 255, 2**16, -1, 2**70, 0.5, -1e300, float("inf")]}
    yield {"texts": ("", "ä", "x" * 300, b"", b"y" * 300, (), ((),), (1, 2, 3, 4)), "none": {}}
    yield list(range(3000))
    yield published(make_tracks([3, 7]))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_data_is_what_pickle_reads(path: Path, protocol: int) -> None:
    for value in values():
        path.write_bytes(pickle.dumps(value, protocol=protocol))
        assert_same(load_pickle(path), value)


@pytest.mark.parametrize("names", [b"numpy.core.", b"numpy._core."])
def test_arrays_of_either_numpy(path: Path, names: bytes) -> None:
    value = published(make_tracks([3, 7]))
    content = pickle.dumps(value, protocol=3)
    path.write_bytes(re.sub(rb"numpy\._?core\.", names, content))
    assert names in path.read_bytes()
    assert_same(load_pickle(path), value)


def test_what_is_shared_stays_shared(path: Path) -> None:
    array = np.ones((40, 40))
    circle: list[Any] = [array, array]
    circle.append(circle)
    path.write_bytes(pickle.dumps(circle))
    first, second, itself = loaded = load_pickle(path)
    assert first is second
    assert itself is loaded


def hostile(sentinel: Path) -> dict[str, tuple[object, str]]:
    """Objects whose plain unpickling runs code, each with what the refusal names."""
    shell = f"echo > {sentinel}"
    source = f"open({str(sentinel)!r}, 'w').close()"
    array = np.empty(1, object)
    array[0] = Call(os.system, shell)
    return {
        "system": (Call(os.system, shell), f"the global {os.name}.system;"),
        "popen": (Call(subprocess.getoutput, shell), "the global subprocess.getoutput;"),
        "eval": (Call(eval, source), "the global builtins.eval;"),
        "exec": (Call(exec, source), "the global builtins.exec;"),
        "folder": (Call(os.mkdir, str(sentinel)), f"the global {os.name}.mkdir;"),
        "getattr": (Call(getattr, Call(__import__, "os"), "system"), "builtins.getattr;"),
        "import": (Call(__import__, "this"), "the global builtins.__import__;"),
        "deep": ([{"a": ({"b": [Call(eval, source)]},)}], "the global builtins.eval;"),
        "in an object array": (array, "an array of the type O8;"),
        "as a state": (Call(list, state=Call(eval, source)), "the global builtins.list;"),
        "as a key": ({Call(eval, source): 1}, "the global builtins.eval;"),
        "subclass": (np.ones(3).view(np.recarray), "the global numpy.recarray;"),
        "memmap": (Call(np.memmap, str(sentinel), "u1", "w+", 0, 9), "the global numpy.memmap;"),
        "load": (Call(np.load, str(sentinel)), "the global numpy.load;"),
        "collections": (collections.OrderedDict(a=1), "the global collections.OrderedDict;"),
        "allocation": (Call(np.ndarray, (10**12,)), "a call of ndarray that"),
        "structured": (np.ones(3, [("a", "f8"), ("b", "O")]), "an array of the type V16;"),
        "times": (np.ones(3, "M8[D]"), "an array of the type M8;"),
        "strings": (np.array(["a"]), "an array of the type U1;"),
        "big-endian": (np.ones(3, ">f8"), "a state of "),
        "python object": (object(), "the global builtins.object;"),
        "bytearray": (bytearray(3), "the global builtins.bytearray;"),  # plain under protocol 5
        "set": ({1, 2}, "the instruction EMPTY_SET;"),
        "number key": ({(1, 2): 3}, "a dict whose keys are no texts;"),
    }


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("kind", hostile(Path("sentinel")))
def test_nothing_runs(path: Path, kind: str, protocol: int) -> None:
    value, named = hostile(path.parent / "sentinel")[kind]
    if kind == "set" and protocol == 3:
        named = "the global builtins.set;"
    assert named in refusal(path, pickle.dumps(value, protocol=protocol))


@pytest.mark.parametrize("protocol", [0, 1, 2, 5])
@pytest.mark.parametrize("kind", ["system", "eval", "folder", "in an object array", "load"])
def test_nothing_runs_by_other_protocols(path: Path, kind: str, protocol: int) -> None:
    value, _ = hostile(path.parent / "sentinel")[kind]
    found = refusal(path, pickle.dumps(value, protocol=protocol))
    assert "nothing of it was run" in found
    assert ("write it again with protocol=4" in found) == (protocol < 2)


def test_texts_that_become_bytes_again_and_again(path: Path) -> None:
    """Some bytes of file a time would fill any memory."""
    call = text("x" * 50) + b"q\x00" + text("latin1") + b"q\x01"
    again = b"c_codecs\nencode\nh\x00h\x01\x86R"
    assert "more bytes than the file has" in refusal(path, program(b"](" + call, again * 99, b"e"))


def test_the_hostile_ones_would_run(tmp_path: Path) -> None:
    for kind in ("system", "popen", "eval", "exec", "folder", "deep", "in an object array"):
        sentinel = tmp_path / kind.replace(" ", "_")
        pickle.loads(pickle.dumps(hostile(sentinel)[kind][0]))
        assert sentinel.exists()


def program(*steps: bytes) -> bytes:
    """A pickle of protocol 4 by hand."""
    return b"\x80\x04" + b"".join(steps) + b"."


def text(words: str) -> bytes:
    return b"X" + len(words).to_bytes(4, "little") + words.encode()


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR"
BYTES = b"cnumpy\ndtype\n(X\x02\x00\x00\x00u1\x89\x88tR"
TRILLION = b"\x8a\x06" + (10**12).to_bytes(6, "little")


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (program(b"\x82\x01"), "the instruction EXT1;"),
        (program(b"\x83\x01\x00"), "the instruction EXT2;"),
        (program(b"\x84\x01\x00\x00\x00"), "the instruction EXT4;"),
        (program(b"Pname\n"), "the instruction PERSID;"),
        (program(b"(" + text("id") + b"Qt"), "the instruction BINPERSID;"),
        (program(b"(" + text("echo") + b"ios\nsystem\n"), "the instruction INST;"),
        (program(b"(cos\nsystem\n" + text("echo") + b"o"), "the global os.system;"),
        (program(b"cnumpy\nndarray\n)\x81"), "the instruction NEWOBJ;"),
        (program(b"cnumpy\nndarray\n)}\x92"), "the instruction NEWOBJ_EX;"),
        (program(b"\x97"), "the instruction NEXT_BUFFER;"),
        (program(text("os\n") + text("a\x1b[2J\nb") + b"\x93"), r"global os\n.a\x1b[2J\nb;"),
        (program(text("o" * 999) + text("s") + b"\x93"), f"global {'o' * 60};"),
        (program(b"K\x01K\x02\x93"), "a global whose name is no text;"),
        (program(b"K\x01)R"), "a call of a int that"),
        (program(b"cnumpy\ndtype\n}b"), "a state of Name"),
        (program(ARRAY + b"(K\x01" + TRILLION + b"\x85" + BYTES + b"\x89C\x01atb"), "1 bytes do"),
        (program(ARRAY + b"(K\x01K\x02\x85" + BYTES + b"\x89C\x01atb"), "1 bytes do not fill"),
        (program(ARRAY + b"(K\x01J\xff\xff\xff\xff\x85" + BYTES + b"\x89C\x01atb"), "1 bytes do"),
        (program(ARRAY + b"(K\x01K\x02K\x02\x86" + BYTES + b"\x89C\x03abctb"), "shape (2, 2), u"),
        (program(ARRAY + b"(K\x01(" + b"K\x01" * 9 + b"t" + BYTES + b"\x89C\x01atb"), "do not"),
        (program(ARRAY + b"}b"), "a state of ndarray"),
        (program(ARRAY + b"K\x01a"), "items for a ndarray as if it were a list;"),
        (program(ARRAY + text("shape") + b"K\x01s"), "items for a ndarray as if it were a dict;"),
    ],
)
def test_programs_no_pickler_writes(path: Path, content: bytes, named: str) -> None:
    assert named in refusal(path, content)


def test_registered_extensions_are_refused(path: Path) -> None:
    copyreg.add_extension("os", "system", 240)
    try:
        content = program(b"\x82\xf0" + text(f"echo > {path.parent / 'sentinel'}") + b"\x85R")
        assert "EXT1" in refusal(path, content)
    finally:
        copyreg.remove_extension("os", "system", 240)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a pickle",
        b"\x89PNG\r\n\x1a\n",
        b"PK\x03\x04",
        program(),
        program(b"a"),
        program(b"t"),
        program(b"h\x07"),
        program(b"I" + b"x" * 9999 + b"\n"),
        program(b"K\x01\x87"),
        program(b"(K\x01u"),
        program(b"}(" + text("a") + b"u"),
        program(b"B\xff\xff\xff\xff"),
        program(b"\x8e" + TRILLION[2:] + b"\x00\x00few"),
        program(b"X\x01\x00\x00\x00\xff"),
        program(b"\x8b\xff\xff\xff\x7f"),
        program(b"\xfe"),
    ],
)
def test_damaged_files(path: Path, content: bytes) -> None:
    refusal(path, content)


def test_files_cut_anywhere(path: Path) -> None:
    content = pickle.dumps(published(make_tracks([2, 3], edge=8)))
    marks = [position for _, _, position in pickletools.genops(content)]
    for end in {*marks[:200], *range(0, len(content), 97)}:
        assert "expected a whole pickle" in refusal(path, content[:end])


def test_files_with_a_byte_changed(path: Path) -> None:
    content = pickle.dumps(published(make_tracks([2], edge=8)))
    rng = np.random.default_rng(0)
    for place, byte in zip(rng.integers(0, len(content), 600), rng.bytes(600), strict=True):
        changed = content[:place] + bytes([byte]) + content[place + 1 :]
        path.write_bytes(changed)
        try:
            load_pickle(path)
        except ValueError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017


@pytest.mark.slow
@pytest.mark.parametrize("opening", [b"]", b")", b"}"])
def test_nesting_of_any_depth(path: Path, opening: bytes) -> None:
    depth = 150_000
    step = {b"]": b"a", b"}": b"s", b")": b"\x85"}[opening]
    if opening == b")":
        content = program(b")", step * depth)
    else:
        key = text("k") if opening == b"}" else b""
        content = program((opening + key) * depth, b"N", step * depth)
    path.write_bytes(content)
    assert isinstance(load_pickle(path), list | dict | tuple)
    assert "keys" in refusal(path, program(b"})", b"\x85" * depth, b"Ns"))


def test_great_memo_numbers_take_no_memory(path: Path) -> None:
    path.write_bytes(program(b"]r\xff\xff\xff\xff"))
    assert load_pickle(path) == []


def test_no_file(tmp_path: Path) -> None:
    for name, reason in (("none", "No such file"), (".", "Is a directory")):
        path = tmp_path / name
        message = rf"^{re.escape(str(path))}: expected a pickle, found no file .*{reason}"
        with pytest.raises(ValueError, match=message):
            load_pickle(path)


def test_what_is_no_plain_file(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(ValueError, match=r"expected a plain file, found another kind"):
        load_pickle(path)


def test_every_pickler_of_python_agrees(path: Path) -> None:
    value = published(make_tracks([3]))
    buffer = io.BytesIO()
    pickle._Pickler(buffer, 4).dump(value)  # type: ignore[attr-defined]
    path.write_bytes(buffer.getvalue())
    assert_same(load_pickle(path), value)


def test_names_are_never_looked_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[str] = []
    real = builtins.__import__

    def watched(name: str, *arguments: Any, **options: Any) -> Any:
        looked_up.append(name)
        return real(name, *arguments, **options)

    content = program(b"cantigravity\nfly\n)R")
    monkeypatch.setattr(builtins, "__import__", watched)
    assert "the global antigravity.fly;" in refusal(path, content)
    assert "antigravity" not in {*looked_up, *sys.modules}
