"""Heads, redirects and bodies that no server should send."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import contents, wait_for
from tests.exchange.fetching import BYTES, HASTE, begun, get
from tests.exchange.servers import (
    Server,
    drip,
    endless,
    raw,
    redirect,
    serving,
)
from threedident.exchange.connections import Response

pytestmark = pytest.mark.slow

NUMBERS = [b"9" * 5000, b"-5", "\N{SUPERSCRIPT TWO}".encode("latin-1"), b"1e3", b" ", b"0x10"]
LOUD = [
    b"HTTP/1.0 404 \x1b]0;title\x07\x1b[2J" + b"x" * 60_000 + b"\r\n\r\n",
    b"HTTP/1.0 503 \x1b[2J" + b"x" * 900_000 + b"\r\n\r\n",
    b"\x1b[2J" + b"x" * 900_000,
    b"SSH-2.0-\x1b[2Jserver\r\n",
    b"HTTP/1.0 200 OK\r\nETag: " + b"x" * 900_000 + b"\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
    b"HTTP/1.0 302 No\r\nLocation: ftp://\x1b[2J" + b"x" * 60_000 + b"\r\n\r\n",
]


@pytest.mark.parametrize("number", NUMBERS)
def test_senseless_numbers_in_heads_count_as_none(
    server: Server, tmp_path: Path, number: bytes
) -> None:
    end = b"\r\n\r\n"
    refused = b"HTTP/1.0 416 No\r\nContent-Range: bytes */" + number + end
    busy = b"HTTP/1.0 503 No\r\nRetry-After: " + number + end
    part = b"HTTP/1.0 206 OK\r\nContent-Range: bytes " + number + b"-7/" + number + end
    begun(server, tmp_path / "file")
    server.plan = [raw(refused), raw(busy), raw(part)]
    get(server, tmp_path / "file", replace(HASTE, tries=9))
    assert contents(tmp_path) == {"file": BYTES}
    (tmp_path / "file").unlink()
    server.plan = [raw(b"HTTP/1.0 200 OK\r\nContent-Length: " + number + end + BYTES)]
    get(server, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}


@pytest.mark.parametrize(
    "date", ["Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 1 Jan 99999 0:0:0 GMT", "1", "x" * 60_000]
)
def test_senseless_dates_in_heads_count_as_none(server: Server, tmp_path: Path, date: str) -> None:
    server.plan = [raw(f"HTTP/1.0 503 No\r\nRetry-After: {date} x\r\n\r\n".encode())]
    with suppress(ValueError):  # it may be a wish for peace until the year 9999
        get(server, tmp_path / "file")
        assert contents(tmp_path) == {"file": BYTES}


@pytest.mark.parametrize("said", LOUD)
def test_what_servers_say_is_quoted_in_one_short_line(
    server: Server, tmp_path: Path, said: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    server.plan = [raw(said)] * 3
    with pytest.raises(ValueError, match=f"{server.url}/file: expected the ") as caught:
        get(server, tmp_path / "file")
    for line in [str(caught.value), *capsys.readouterr().err.splitlines()]:
        assert line.isprintable()
        assert len(line) < 500


@pytest.mark.parametrize(
    "target", ["ftp://127.0.0.1:1/x", "file:///etc/hosts", "data:,x", "gopher:x", "http://[x"]
)
def test_redirects_lead_to_http_alone(server: Server, tmp_path: Path, target: str) -> None:
    server.plan = [redirect(target)]
    with pytest.raises(
        ValueError, match=r"expected the archive, found (a redirect to|HTTP status)"
    ):
        get(server, tmp_path / "file")
    assert contents(tmp_path) == {}


def test_a_redirect_leads_to_the_file(server: Server, tmp_path: Path) -> None:
    with serving() as other:
        other.plan = [redirect(f"{server.url}/file")]
        get(other, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}


@pytest.mark.parametrize("distinct", [True, False])
def test_redirects_without_end_end(server: Server, tmp_path: Path, distinct: bool) -> None:
    server.plan = [redirect(f"{server.url}/{i if distinct else 0}") for i in range(30)]
    with pytest.raises(ValueError, match=r"found HTTP status 302 .*; check --url"):
        get(server, tmp_path / "file")
    assert len(server.asked) <= 11


def test_the_body_of_a_redirect_is_not_read(server: Server, tmp_path: Path) -> None:
    with serving() as other:
        other.plan = [endless("redirect", Location=f"{server.url}/file")]
        get(other, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.0 200 " + b"O" * 99,
        b"HTTP/1.0 200 OK\r\nETag: " + b"x" * 99,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 99,
    ],
)
def test_a_head_that_drips_in_counts_as_silence(
    server: Server, tmp_path: Path, said: bytes
) -> None:
    server.plan = [drip(b"", said)] * 2
    start = time.monotonic()
    with pytest.raises(ValueError, match="found no answer in time, 2 times in a row"):
        get(server, tmp_path / "file", replace(HASTE, tries=2))
    assert time.monotonic() - start < 3
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 300000\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n",
    ],
)
def test_a_body_that_drips_in_counts_as_silence(
    server: Server, tmp_path: Path, head: bytes
) -> None:
    server.plan = [drip(head, BYTES[:99])] * 2
    start = time.monotonic()
    with pytest.raises(ValueError, match=r"found only \d+ bytes in 1 s, 2 times in a row"):
        get(server, tmp_path / "file", replace(HASTE, tries=2))
    assert time.monotonic() - start < 5


def test_chunks_and_their_end_that_drip_in_count_as_silence(
    server: Server, tmp_path: Path
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.plan = [drip(head, b"0" * 99), drip(head + b"0\r\n", b"A: b\r\n" * 99)]
    with pytest.raises(ValueError, match="found no answer in time, 2 times in a row"):
        get(server, tmp_path / "file", replace(HASTE, tries=2))


def test_a_connection_that_is_reset_after_its_time_counts_as_silence(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shut socket reads as ended, or as reset where bytes are still on the way."""

    def reset(response: Response, _: int) -> bytes:
        deadline = response._deadline
        wait_for(lambda: deadline is not None and deadline.passed)
        raise ConnectionResetError

    monkeypatch.setattr(Response, "read1", reset)
    with pytest.raises(ValueError, match="found no answer in time, 2 times in a row"):
        get(server, tmp_path / "file", replace(HASTE, tries=2))


def test_more_bytes_than_announced_are_not_kept(server: Server, tmp_path: Path) -> None:
    server.plan = [endless("chunked", Content_Length="1000")] * 3
    with pytest.raises(ValueError, match="found more bytes than were announced, 3 times in a row"):
        get(server, tmp_path / "file")
    assert contents(tmp_path) == {}


def test_a_length_that_is_too_long_counts_as_a_cut(server: Server, tmp_path: Path) -> None:
    server.plan = [raw(b"HTTP/1.0 200 OK\r\nContent-Length: 350000\r\n\r\n" + BYTES)] * 3
    with pytest.raises(ValueError, match=r"found (a connection that ended early|another file)"):
        get(server, tmp_path / "file")
