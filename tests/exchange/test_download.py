from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from tests.conftest import cli, contents, followed, make_images, refused, start, wait_for
from tests.exchange.servers import (
    Server,
    corrupt,
    cut,
    drip,
    drop,
    endless,
    other_range,
    raw,
    redirect,
    serving,
    silent,
    stall,
    status,
    without_length,
    without_range,
)
from threedident import ThreeDIdent
from threedident.exchange.download import download
from threedident.exchange.fetch import Patience, fetch
from threedident.exchange.published import ADDRESS, ARCHIVES, Archive
from threedident.runtime.errors import explain

HASTE = Patience(silence_s=0.5, tries=3, first_pause_s=0.01, longest_pause_s=0.02)
BYTES = np.random.default_rng(0).bytes(300_000)
MOST = 400_000


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as found:
        found.files["file"] = BYTES
        yield found


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set in the published layout; tests must not change it."""
    return make_images(tmp_path_factory.mktemp("published") / "data", n=24, n_test=8)


def pack(folder: Path, inside: str) -> bytes:
    """A tar archive of a folder, under the name ``inside``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(folder, inside)
    return buffer.getvalue()


def offer(server: Server, data: Path, inside: str = "3dident") -> list[Archive]:
    """Let the server have the archives of a data set."""
    archives = []
    for split in ("train", "test"):
        content = pack(data / split, f"{inside}/{split}".strip("/"))
        server.files[f"{split}.tar"] = content
        archives.append(Archive(f"{split}.tar", md5(content), split, len(content)))
    return archives


def get(server: Server, path: Path, patience: Patience = HASTE) -> None:
    fetch(f"{server.url}/file", path, md5(BYTES), MOST, patience)


def begun(server: Server, path: Path, count: int = 100_000) -> None:
    """Let an earlier run have fetched so many bytes."""
    server.plan = [cut(count)]
    with pytest.raises(ValueError, match=f"{count // 1000} kB are kept, the same command again"):
        get(server, path, Patience(tries=1))
    server.asked.clear()


def test_the_published_archives() -> None:
    assert ADDRESS.endswith("/4502485/files")
    assert {archive.split: archive.name for archive in ARCHIVES} == {
        "train": "3dident_train.tar",
        "test": "3dident_test.tar",
    }
    assert all(len(bytes.fromhex(archive.md5)) == 16 for archive in ARCHIVES)


def test_a_file_is_fetched_once(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        get(server, tmp_path / "file")
        assert contents(tmp_path) == {"file": BYTES}
    assert server.ranges == [None]
    assert server.asked[0]["User-Agent"].startswith("threedident/")


@pytest.mark.parametrize("answer", [stall(100_000), cut(100_000)])
def test_what_came_in_is_not_asked_for_again(
    server: Server, tmp_path: Path, answer: object
) -> None:
    server.plan = [answer]  # type: ignore[list-item]
    get(server, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}
    assert server.ranges == [None, "bytes=100000-"]
    assert server.asked[1]["If-Range"] == '"1"'


def test_each_step_forward_renews_the_patience(server: Server, tmp_path: Path) -> None:
    server.plan = [cut(30_000), drop] * 9
    get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BYTES


@pytest.mark.parametrize("answer", [silent, drop, stall(0), status(503), status(429)])
def test_patience_ends(server: Server, tmp_path: Path, answer: object) -> None:
    begun(server, tmp_path / "file")
    server.plan = [answer] * 3  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"3 times in a row; 100 kB are kept, the same command"):
        get(server, tmp_path / "file")
    assert not (tmp_path / "file").exists()
    get(server, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}
    assert set(server.ranges) == {"bytes=100000-"}


def test_a_passing_failure_passes(server: Server, tmp_path: Path) -> None:
    server.plan = [status(503), status(500), cut(5_000), status(429)]
    get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BYTES


@pytest.mark.parametrize("as_date", [False, True])
def test_a_server_is_left_alone_as_long_as_it_asks(
    server: Server, tmp_path: Path, as_date: bool
) -> None:
    asked = formatdate(time.time() + 2, usegmt=True) if as_date else "1"
    server.plan = [status(429, Retry_After=asked)]
    begin = time.monotonic()
    get(server, tmp_path / "file")
    assert time.monotonic() - begin >= (0.9 if as_date else 1.0)


def test_a_server_that_asks_for_too_long_is_named(server: Server, tmp_path: Path) -> None:
    server.plan = [status(503, Retry_After="86400")]
    with pytest.raises(ValueError, match="with a wish for 86400 s of peace; what came in is kept"):
        get(server, tmp_path / "file")


def test_a_senseless_wish_counts_as_none(server: Server, tmp_path: Path) -> None:
    server.plan = [status(503, Retry_After="soon")]
    get(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == BYTES


def test_a_server_that_ignores_ranges_begins_anew(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path / "file")
    server.plan = [without_range]
    get(server, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}


def test_a_part_that_nobody_asked_for_is_not_taken(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path / "file")
    server.plan = [other_range]
    get(server, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}
    assert server.ranges == ["bytes=100000-", None]


@pytest.mark.parametrize("etag", ['"2"', None])
def test_a_file_that_changed_meanwhile_is_fetched_anew(
    server: Server, tmp_path: Path, etag: str | None
) -> None:
    if etag is None:
        server.etag = None
    begun(server, tmp_path / "file")
    server.etag = etag
    other = server.files["file"] = BYTES[::-1] + b"more"
    fetch(f"{server.url}/file", tmp_path / "file", md5(other), MOST, HASTE)
    assert contents(tmp_path) == {"file": other}


def test_a_server_that_changes_the_file_under_the_range(server: Server, tmp_path: Path) -> None:
    """One that looks at ``Range`` and not at ``If-Range``."""
    begun(server, tmp_path / "file")
    head = {"Content-Range": "bytes 100000-299999/300000", "ETag": '"2"'}

    def careless(handler: object) -> None:
        server.etag = None
        handler.head(206, 200_000, **head)  # type: ignore[attr-defined]
        handler.wfile.write(bytes(200_000))  # type: ignore[attr-defined]

    server.plan = [careless]
    get(server, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}
    assert server.ranges == ["bytes=100000-", None]


def test_a_refused_range_begins_anew(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path / "file")
    server.plan = [status(416, Content_Range="bytes */7")]
    get(server, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}
    assert server.ranges == ["bytes=100000-", None]


def test_a_file_without_announced_length(server: Server, tmp_path: Path) -> None:
    server.plan = [without_length]
    get(server, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}


def test_nothing_is_missing_where_the_server_says_so(server: Server, tmp_path: Path) -> None:
    """A run that was killed when all bytes of a file without announced length were there."""
    (tmp_path / "file.part").write_bytes(BYTES)
    note = {"url": f"{server.url}/file", "reply": {"etag": '"1"'}}
    (tmp_path / "file.part.json").write_text(json.dumps(note))
    server.plan = [status(416, Content_Range=f"bytes */{len(BYTES)}")]
    get(server, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}
    assert server.ranges == [f"bytes={len(BYTES)}-"]


@pytest.mark.parametrize("note", [b"", b"{}", None])
def test_bytes_of_unknown_origin_are_not_gone_on_with(
    server: Server, tmp_path: Path, note: bytes | None
) -> None:
    (tmp_path / "file.part").write_bytes(b"who knows")
    if note is not None:
        (tmp_path / "file.part.json").write_bytes(note)
    get(server, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}
    assert server.ranges == [None]


def test_another_server_may_go_on(server: Server, tmp_path: Path) -> None:
    begun(server, tmp_path / "file")
    with serving() as mirror:
        mirror.files["file"], mirror.etag = BYTES, '"of the mirror"'
        get(mirror, tmp_path / "file")
        assert mirror.ranges == ["bytes=100000-"]
    assert contents(tmp_path) == {"file": BYTES}


def test_a_wrong_digest_is_fetched_once_more(server: Server, tmp_path: Path) -> None:
    server.plan = [corrupt]
    get(server, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}
    assert server.ranges == [None, None]


def test_a_wrong_digest_twice_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.plan = [corrupt, corrupt]
    with pytest.raises(
        ValueError, match=rf"file: expected a file of md5 {md5(BYTES)}, found anot"
    ):
        get(server, tmp_path / "file")
    assert contents(tmp_path) == {}
    assert len(server.asked) == 2


def test_an_altered_archive_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BYTES[::-1])
    get(server, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}


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
        ValueError, match=r"of less than 400 kB, found more, and no end announced; check --url"
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


NUMBERS = [b"9" * 5000, b"-5", "\N{SUPERSCRIPT TWO}".encode("latin-1"), b"1e3", b" ", b"0x10"]


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


LOUD = [
    b"HTTP/1.0 404 \x1b]0;title\x07\x1b[2J" + b"x" * 60_000 + b"\r\n\r\n",
    b"HTTP/1.0 503 \x1b[2J" + b"x" * 900_000 + b"\r\n\r\n",
    b"\x1b[2J" + b"x" * 900_000,
    b"SSH-2.0-\x1b[2Jserver\r\n",
    b"HTTP/1.0 200 OK\r\nETag: " + b"x" * 900_000 + b"\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
    b"HTTP/1.0 302 No\r\nLocation: ftp://\x1b[2J" + b"x" * 60_000 + b"\r\n\r\n",
]


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


def test_tags_that_cannot_be_sent_back_are_forgotten(server: Server, tmp_path: Path) -> None:
    folded = b'HTTP/1.0 200 OK\r\nETag: "a\r\n b"\r\nContent-Length: 300000\r\n\r\n'
    server.plan = [raw(folded + BYTES[:100_000])]
    get(server, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}
    assert "If-Range" not in server.asked[1]


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
    with pytest.raises(ValueError, match=r"found a trickle of \d+ bytes in 1 s, 2 times in a row"):
        get(server, tmp_path / "file", replace(HASTE, tries=2))
    assert time.monotonic() - start < 5


def test_chunks_and_their_end_that_drip_in_count_as_silence(
    server: Server, tmp_path: Path
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    server.plan = [drip(head, b"0" * 99), drip(head + b"0\r\n", b"A: b\r\n" * 99)]
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


@pytest.mark.parametrize("name", ["file", "file.part", "file.part.json"])
def test_a_pipe_in_place_of_a_file_blocks_nobody(
    server: Server, tmp_path: Path, name: str
) -> None:
    os.mkfifo(tmp_path / name)
    with suppress(ValueError):
        get(server, tmp_path / "file")
        assert contents(tmp_path) == {"file": BYTES}


def test_proxies_are_honoured(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    server.files["http://nowhere.invalid/file"] = BYTES
    script = (
        "import sys; from pathlib import Path; from threedident.exchange.fetch import fetch; "
        "fetch('http://nowhere.invalid/file', Path(sys.argv[1]), sys.argv[2], 10**6)"
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "file", md5(BYTES)], check=True)
    assert contents(tmp_path) == {"file": BYTES}


@pytest.mark.parametrize("inside", ["3dident", "", "a/b/c"])
def test_splits_are_put_in_place(
    server: Server, published: Path, tmp_path: Path, inside: str
) -> None:
    archives = offer(server, published, inside)
    lines = list(download(tmp_path / "data", archives, server.url, HASTE))
    assert lines == [f"{tmp_path}/data/train: 24 images", f"{tmp_path}/data/test: 8 images"]
    assert contents(tmp_path / "data") == contents(published)
    assert not (tmp_path / "data/.download").exists()
    assert len(ThreeDIdent(tmp_path / "data", "test")) == 8


def test_a_split_may_be_all_that_an_archive_holds(
    server: Server, published: Path, tmp_path: Path
) -> None:
    content = server.files["test.tar"] = pack(published / "test", ".")
    list(download(tmp_path, [Archive("test.tar", md5(content), "test", MOST)], server.url, HASTE))
    assert contents(tmp_path / "test") == contents(published / "test")


def test_what_is_there_is_not_fetched(server: Server, published: Path, tmp_path: Path) -> None:
    archives = offer(server, published)
    shutil.copytree(published / "train", tmp_path / "train")
    (tmp_path / "test").mkdir()
    (tmp_path / ".download").mkdir()
    (tmp_path / ".download/train.tar").write_bytes(b"left by a run that was killed at the end")
    lines = list(download(tmp_path, archives, f"{server.url}/", HASTE))
    assert lines[0] == f"{tmp_path}/train: 24 images, there already"
    assert len(server.asked) == 1
    assert contents(tmp_path) == contents(published)


def test_other_things_in_the_way_stay(server: Server, published: Path, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train/mine.txt").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"train: expected a whole split or nothing there, found"):
        list(download(tmp_path, offer(server, published), server.url, HASTE))
    assert contents(tmp_path) == {"train/mine.txt": b"mine"}
    assert not server.asked


def test_rendered_and_published_splits_do_not_mix(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    shutil.rmtree(data / "train")
    before = contents(data)
    line = refused("download", data, "--split", "train")
    assert f"{data}/test: expected the published split or nothing there, found a rendered" in line
    assert contents(data) == before


def test_too_little_room_is_said_before_the_first_byte(
    server: Server, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives = offer(server, published)
    monkeypatch.setattr("threedident.runtime.files.free_bytes", lambda _: 90_000)
    size = 2.1 * len(server.files["train.tar"]) / 1e3
    words = rf"about {size:.3g} kB on the disk for the archive and its files, found 90 kB"
    with pytest.raises(ValueError, match=words):
        list(download(tmp_path, archives, server.url, HASTE))
    assert contents(tmp_path) == {}


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, "/etc/hosts"
    return info


HOSTILE = {
    "names below one folder": [member("../out"), member("/out"), member("a/../../out")],
    "files and folders alone": [
        member("train/images/0.png", kind)
        for kind in (
            tarfile.SYMTYPE,
            tarfile.LNKTYPE,
            tarfile.CHRTYPE,
            tarfile.BLKTYPE,
            tarfile.FIFOTYPE,
        )
    ],
    "files of sane sizes": [member("train/images/0.png", size=2**40)],
    "one folder with raw_latents.npy": [member("train/latents.npy")],
}


@pytest.mark.parametrize(
    ("expected", "info"), [(text, info) for text, infos in HOSTILE.items() for info in infos]
)
def test_hostile_archives_leave_nothing(
    server: Server, tmp_path: Path, expected: str, info: tarfile.TarInfo
) -> None:
    content = info.tobuf(tarfile.GNU_FORMAT) + bytes(10240)
    server.files["train.tar"] = content
    data = tmp_path / "deep" / "data"
    with pytest.raises(ValueError, match=rf"train\.tar: expected {expected}, found"):
        list(
            download(data, [Archive("train.tar", md5(content), "train", MOST)], server.url, HASTE)
        )
    assert contents(tmp_path) == {"deep/data/.download/train.tar": content}


@pytest.mark.parametrize("content", [b"no archive at all" * 99, b""])
def test_what_is_no_archive_leaves_nothing(server: Server, tmp_path: Path, content: bytes) -> None:
    place = tmp_path / ".download" / "train.tar"
    place.parent.mkdir()
    place.write_bytes(content)
    with pytest.raises(ValueError, match=r"train\.tar: expected "):
        list(
            download(
                tmp_path, [Archive("train.tar", md5(content), "train", MOST)], server.url, HASTE
            )
        )
    assert contents(tmp_path) == {".download/train.tar": content}


def test_an_archive_of_a_split_that_does_not_open(
    server: Server, published: Path, tmp_path: Path
) -> None:
    data = shutil.copytree(published, tmp_path / "source")
    (data / "train/images/07.png").unlink()
    with pytest.raises(ValueError, match="expected 24 images"):
        list(download(tmp_path / "data", offer(server, data)[:1], server.url, HASTE))
    assert list(contents(tmp_path / "data")) == [".download/train.tar"]


def test_the_command_line_refuses_what_is_not_published(server: Server, tmp_path: Path) -> None:
    server.files["3dident_train.tar"] = BYTES
    line = refused("download", tmp_path, "--url", server.url)
    assert f"3dident_train.tar: expected a file of md5 {ARCHIVES[0].md5}, found another" in line
    assert len(server.asked) == 2
    assert contents(tmp_path) == {}
    assert "found HTTP status 404" in refused(
        "download", tmp_path, "--split", "test", "--url", server.url
    )


def start_download(server: Server, data: Path, archives: list[Archive]) -> list[str]:
    """The command line, for archives of our own."""
    script = (
        "import sys; from threedident.exchange import published as p; "
        "from threedident.cli import main; "
        f"p.ARCHIVES = tuple(p.Archive(*a) for a in {[tuple(vars(a).values()) for a in archives]})"
        f"; main(['download', {str(data)!r}, '--url', {server.url!r}])"
    )
    return [sys.executable, "-c", script]


def test_a_killed_download_asks_only_for_the_rest(
    server: Server, published: Path, tmp_path: Path
) -> None:
    archives = offer(server, published)
    command, part = (
        start_download(server, tmp_path, archives),
        tmp_path / ".download/train.tar.part",
    )
    server.plan = [stall(50_000)]
    process = followed(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    wait_for(lambda: part.exists() and part.stat().st_size == 50_000)
    process.kill()
    process.communicate()
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert server.ranges == [None, "bytes=50000-", None]
    assert contents(tmp_path) == contents(published)
    assert "24 images" in result.stdout


def test_an_interrupted_download_says_how_to_go_on(server: Server, tmp_path: Path) -> None:
    server.files["3dident_train.tar"] = BYTES
    server.plan = [stall(50_000)]
    part = tmp_path / ".download/3dident_train.tar.part"
    process = start("download", tmp_path, "--url", server.url)
    wait_for(lambda: part.exists() and part.stat().st_size == 50_000)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 2
    assert "interrupted; 50" in stderr
    assert f"kept in {tmp_path}/.download, the same command again goes on" in stderr
    assert "Traceback" not in stderr
    assert part.read_bytes() == BYTES[:50_000]


def test_two_downloads_do_not_meet(server: Server, published: Path, tmp_path: Path) -> None:
    archives = offer(server, published)
    first = download(tmp_path, archives, server.url, HASTE)
    next(first)
    with pytest.raises(ValueError, match="expected no other run at work here"):
        next(download(tmp_path, archives, server.url, HASTE))
    assert len(list(first)) == 1


def test_unpacking_begins_anew_after_a_kill(
    server: Server, published: Path, tmp_path: Path
) -> None:
    archives = offer(server, published)
    (tmp_path / ".download/unpacked").mkdir(parents=True)
    (tmp_path / ".download/unpacked/raw_latents.npy").write_bytes(b"half")
    (tmp_path / ".download/train.tar").write_bytes(server.files["train.tar"])
    list(download(tmp_path, archives[:1], server.url, HASTE))
    assert not server.asked
    assert contents(tmp_path / "train") == contents(published / "train")
    assert not (tmp_path / ".download").exists()


def test_help_needs_no_network() -> None:
    result = cli("download", "--help")
    assert result.returncode == 0
    assert ADDRESS in result.stdout
