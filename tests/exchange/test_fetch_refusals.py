"""Addresses, sizes and disks from which no file comes."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError

import pytest

from tests.conftest import contents
from tests.exchange.fetching import BYTES, HASTE, MOST, begun, get, md5
from tests.exchange.servers import (
    Server,
    endless,
    raw,
    status,
    without_length,
)
from threedident.exchange.fetch import fetch
from threedident.runtime.errors import explain


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_asking_again_would_be_in_vain(server: Server, tmp_path: Path, code: int) -> None:
    server.plan = [status(code)]
    with pytest.raises(ValueError, match=rf"expected the archive, found HTTP status {code}"):
        get(server, tmp_path / "file")
    assert len(server.asked) == 1
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("url", ["file:///etc/hosts", "ftp://a/b", "nonsense", "http://", ""])
def test_addresses_that_are_none(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match="--url: expected an address"):
        fetch(url, tmp_path / "file", md5(BYTES), MOST, HASTE)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:port/x", "http://127.0.0.1/a b", "http://a..b/"]
)
def test_addresses_that_cannot_be_asked(tmp_path: Path, url: str) -> None:
    with pytest.raises(ValueError, match="--url: expected an address"):
        fetch(url, tmp_path / "file", md5(BYTES), MOST, HASTE)


def test_nobody_there(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file"
        with pytest.raises(
            ValueError, match=r"found no connection \(Connection refused\), 3 times"
        ):
            fetch(url, tmp_path / "file", md5(BYTES), MOST, HASTE)


def test_a_server_without_a_valid_certificate_is_not_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def urlopen(*_: object, **__: object) -> None:
        asked.append(1)
        error = ssl.SSLCertVerificationError()
        error.verify_message = "certificate has expired"
        raise URLError(error)

    monkeypatch.setattr("urllib.request.OpenerDirector.open", urlopen)
    with pytest.raises(ValueError, match="found certificate has expired; check this machine's cl"):
        fetch("https://a.invalid/file", tmp_path / "file", md5(BYTES), MOST, HASTE)
    assert len(asked) == 1


def test_a_disk_that_fills_up_is_named(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("threedident.exchange.fetch.read", full)
    with pytest.raises(OSError, match="No space left") as caught:
        get(server, tmp_path / "file")
    assert explain(caught.value).startswith(f"{tmp_path}/file.part: expected room on the disk")


@pytest.mark.parametrize("answer", [endless(), endless("chunked")])
def test_an_answer_without_end_leaves_nothing(
    server: Server, tmp_path: Path, answer: object
) -> None:
    server.plan = [answer]  # type: ignore[list-item]
    with pytest.raises(
        ValueError, match=r"of less than 400 kB, found more, of unknown total size; check --url"
    ):
        get(server, tmp_path / "file")
    assert contents(tmp_path) == {}
    assert len(server.asked) == 1


def test_a_size_beyond_all_bounds_is_refused_before_the_first_byte(
    server: Server, tmp_path: Path
) -> None:
    server.plan = [raw(b"HTTP/1.0 200 OK\r\nContent-Length: 99999999999999999\r\n\r\n" + BYTES)]
    with pytest.raises(ValueError, match=r"found one of 1e\+05 TB; check --url"):
        get(server, tmp_path / "file")
    assert contents(tmp_path) == {}


def test_a_part_that_is_there_survives_a_senseless_size(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path / "file")
    head = b"HTTP/1.0 206 OK\r\nContent-Range: bytes 100000-99999998/99999999\r\n\r\n"
    server.plan = [raw(head + BYTES)]
    get(server, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}


def test_room_is_looked_at_while_an_answer_without_length_comes_in(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("threedident.exchange.fetch._STRIDE", 50_000)
    server.plan, sizes = [without_length], list[int]()

    def require(_: int, size: int) -> None:
        sizes.append(size)
        if size > 120_000:
            raise ValueError("no room")

    with pytest.raises(ValueError, match="no room"):
        fetch(f"{server.url}/file", tmp_path / "file", md5(BYTES), MOST, HASTE, require)
    assert sizes == sorted(sizes)
    assert (tmp_path / "file.part").stat().st_size < 200_000


@pytest.mark.parametrize("name", ["file", "file.part", "file.part.json"])
def test_a_pipe_in_place_of_a_file_blocks_nobody(
    server: Server, tmp_path: Path, name: str
) -> None:
    os.mkfifo(tmp_path / name)
    with suppress(ValueError):
        get(server, tmp_path / "file")
        assert contents(tmp_path) == {"file": BYTES}
