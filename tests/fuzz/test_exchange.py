"""What comes over a network: answers of servers, files in part, archives, shards."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st

from tests.conftest import contents
from tests.fuzz.damage.arrays import array_damage
from tests.fuzz.damage.edits import Damage, Edit, any_damage, byte_edits, text_damage
from tests.fuzz.damage.json_texts import json_damage
from tests.fuzz.damage.specimens import make_rendered
from tests.fuzz.hunting import check_refusal, hunt, repeat
from tests.fuzz.watching import watched
from threedident.exchange import fetch as fetching
from threedident.exchange.fetch import Patience, fetch
from threedident.exchange.partial import Part, Reply
from threedident.exchange.webdataset import export_shards
from threedident.index import cache as index_cache
from threedident.index.cache import Built, Key

BODY = np.random.default_rng(0).bytes(3000)
MD5 = hashlib.md5(BODY).hexdigest()
HASTE = Patience(
    silence_s=0.1,
    least_bytes_s=1.0,
    tries=2,
    first_pause_s=0.0,
    longest_pause_s=0.0,
    longest_asked_s=0.5,
)
CONNECTING = frozenset({"socket.connect"})


class Answers:
    """A server that says given bytes, whatever it is asked; each answer serves one request."""

    def __init__(self) -> None:
        self.line = socket.create_server(("127.0.0.1", 0))
        self.plan: list[bytes] = []
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.line.getsockname()[1]}/a.tar"

    def _serve(self) -> None:
        while True:
            try:
                talk, _ = self.line.accept()
            except OSError:
                return
            with talk, suppress(OSError):
                talk.settimeout(1.0)
                talk.recv(2**16)
                answer = self.plan.pop(0) if self.plan else b""
                talk.sendall(answer)

    def close(self) -> None:
        self.line.shutdown(socket.SHUT_RDWR)
        self.line.close()
        self.thread.join()


@pytest.fixture(scope="module")
def server() -> Iterator[Answers]:
    started = Answers()
    yield started
    started.close()


_STATUSES = (
    *("200 OK", "206 Partial Content", "100 Continue", "101 Switching", "204 No Content"),
    *("301 Moved", "302 Found", "304 Not Modified", "307 Again", "400 Bad", "401 Who", "403 No"),
    *("404 Not Found", "407 Proxy", "408 Slow", "416 Range", "425 Early", "429 Many", "451 Law"),
    *("500 Oops", "503 Busy", "599 What", "600 More", "999 Last", "000 None", "20 Short", "-1 No"),
    *("2000 Long", "200", "abc def", "200 \x1b[2J\x07", "404 <script>", "404 " + "x" * 9000),
    *("503 " + "\u00e9\u202e", "404 expected\nfound", "\u0662\u0660\u0660 OK"),
)
_HEADERS = (
    *("Content-Length", "Content-Range", "ETag", "Last-Modified", "Location", "Retry-After"),
    *("Transfer-Encoding", "Content-Encoding", "Connection", "X" * 5000, "", "Bad Name", "\u00e9"),
)
_VALUES = (
    *(
        "",
        "0",
        "1",
        "-1",
        "2999",
        "3000",
        "3001",
        "9" * 400,
        "1e3",
        "0x10",
        " 3000 ",
        "3000, 3000",
    ),
    *(
        "3000;3001",
        "\u0663\u0660\u0660\u0660",
        "\u00b2",
        "bytes 0-2999/3000",
        "bytes 10-2999/3000",
    ),
    *("bytes 5-3/1", "bytes */3000", "bytes */9999", "bytes 99999999999999999999-1/*", "bytes x"),
    *('"1"', 'W/"1"', '"' + "e" * 9000 + '"', "\x1b[2J", "chunked", "gzip", "identity", "close"),
    *("file:///etc/passwd", "http://127.0.0.1:1/", "//", "http://[::1", "/a.tar", "ftp://x/y"),
    *("javascript:alert(1)", "http://127.0.0.1:99999/", "http://\u00e9/", "\r", "x" * 70_000),
    *("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 99 Foo 99999 07:28:00 GMT", "1000000000000", "0.1"),
    *("120", "soon", "Sun, 06 Nov 1994 08:49:37 +9999", "-5", "nan", "inf"),
)
_BODIES = ("whole", "whole", "half", "rest", "none", "more", "altered", "chunks", "bad chunks")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: its status, its headers and its body, and edits of its bytes."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: str
    edits: tuple[Edit, ...]

    def spelled(self) -> bytes:
        """The answer as it is sent."""
        bodies = {
            "whole": BODY,
            "half": BODY[:1500],
            "rest": BODY[1500:],
            "none": b"",
            "more": BODY + b"more",
            "altered": BODY[:-9] + bytes(9),
            "chunks": b"bb8\r\n" + BODY + b"\r\n0\r\n\r\n",
            "bad chunks": b"zz\r\n" + BODY,
        }
        lines = [f"HTTP/1.1 {self.status}", *(f"{k}: {v}" for k, v in self.headers)]
        head = "\r\n".join(lines).encode("utf-8", "surrogateescape")
        answer = head + b"\r\n\r\n" + bodies[self.body]
        for edit in self.edits:
            answer = edit(answer)[: 2**18]
        return answer


_SOUND = (("Content-Length", "3000"), ("ETag", '"1"'))
_answers: st.SearchStrategy[Answer] = st.builds(
    Answer,
    status=st.one_of(
        st.just("200 OK"), st.just("206 Partial Content"), st.sampled_from(_STATUSES)
    ),
    headers=st.lists(
        st.one_of(
            st.sampled_from(_SOUND), st.tuples(st.sampled_from(_HEADERS), st.sampled_from(_VALUES))
        ),
        max_size=4,
    ).map(tuple),
    body=st.sampled_from(_BODIES),
    edits=st.lists(byte_edits, max_size=1).map(tuple),
)


def test_answers_of_servers(server: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file arrives as it is published, or not at all."""
    monkeypatch.setattr(fetching, "say", _check_said)

    def example(answers: Sequence[Answer]) -> bool:
        server.plan[:] = [answer.spelled() for answer in answers]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.tar"
            try:
                with watched(CONNECTING, seconds=10.0):
                    fetch(server.url, path, MD5, 10_000, HASTE)
            except (ValueError, OSError) as error:
                check_refusal(error)
                assert not path.exists()
                return True
            assert path.read_bytes() == BODY
            assert [p.name for p in Path(folder).iterdir()] == ["a.tar"]
            return False

    repeat("HTTP answers", st.lists(_answers, min_size=1, max_size=3), example, 150)


def _check_said(line: str) -> None:
    assert line.isprintable(), line
    assert len(line) < 700, line


@pytest.mark.parametrize("name", ["a.tar.part", "a.tar.part.json"])
def test_files_that_came_in_part(server: Answers, tmp_path: Path, name: str) -> None:
    """Whatever is there of a file, and whatever a note says of it, the file ends whole."""
    sound, place = tmp_path / "sound", tmp_path / "a.tar"
    sound.mkdir()
    part = Part(sound / place.name)
    part.begin(Reply(size=3000, etag='"1"'), server.url)
    part.path.write_bytes(BODY[:1000])
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + BODY

    def read() -> bytes:
        server.plan[:] = [whole, whole]
        with tempfile.TemporaryDirectory() as folder:
            there = Path(folder) / "there"
            shutil.copytree(sound, there, symlinks=True, copy_function=_copy)
            fetch(server.url, there / place.name, MD5, 10_000, HASTE)
            assert [path.name for path in there.iterdir()] == [place.name]
            return (there / place.name).read_bytes()

    damage = json_damage if name.endswith("json") else any_damage
    hunt(name, sound / name, damage, read, allowed=CONNECTING, seconds=10.0)


def _copy(source: str, target: str) -> None:
    """Copy a file of any kind."""
    if Path(source).is_fifo():
        os.mkfifo(target)
    else:
        shutil.copyfile(source, target)


def test_indexes_that_were_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    points = np.zeros((5, 3), np.float32)
    source = Key.of(points, "hnsw", "1.14")
    index_cache.store(source, Built(b"index" * 100, {"efSearch": 16.0}, 0.95))

    def read() -> object:
        built = index_cache.load(source)
        return None if built is None else (bytes(built.content), built.setting, built.recall)

    def judge(found: object, sound: object) -> None:
        assert found in (None, sound)

    for damage in (any_damage, json_damage):
        hunt("index cache", source.path(), damage, read, judge)


_SHARDED: list[tuple[str, st.SearchStrategy[Damage]]] = [
    ("SHA256SUMS", text_damage),
    ("train.json", json_damage),
    ("train-000000.tar", any_damage),
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("e")
    root, out = make_rendered(place / "set"), place / "out"
    export_shards(root, out)
    return root, out


@pytest.mark.parametrize(("name", "damage"), _SHARDED, ids=[name for name, _ in _SHARDED])
def test_shards_that_are_there(
    exported: tuple[Path, Path], name: str, damage: st.SearchStrategy[Damage]
) -> None:
    root, out = exported

    def read() -> dict[str, bytes]:
        export_shards(root, out)
        return contents(out)

    hunt(f"shards there, {name}", out / name, damage, read, examples=20)


def test_latents_of_shards(exported: tuple[Path, Path]) -> None:
    root, out = exported

    def read() -> dict[str, bytes]:
        export_shards(root, out)
        return contents(out)

    file = root / "test/latents.npy"
    hunt("shards of damaged latents", file, array_damage, read, examples=20)
