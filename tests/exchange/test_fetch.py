"""One file over HTTP, whatever the line does."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.conftest import contents
from tests.exchange.fetching import BYTES, HASTE, MOST, begun, get, md5
from tests.exchange.servers import (
    Server,
    corrupt,
    cut,
    drop,
    other_range,
    raw,
    serving,
    silent,
    stall,
    status,
    without_length,
    without_range,
)
from threedident.exchange.fetch import fetch
from threedident.exchange.published import ADDRESS, ARCHIVES


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
    with pytest.raises(ValueError, match="to wait 86400 s; the received bytes are kept"):
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


def test_tags_that_cannot_be_sent_back_are_forgotten(server: Server, tmp_path: Path) -> None:
    folded = b'HTTP/1.0 200 OK\r\nETag: "a\r\n b"\r\nContent-Length: 300000\r\n\r\n'
    server.plan = [raw(folded + BYTES[:100_000])]
    get(server, tmp_path / "file")
    assert contents(tmp_path) == {"file": BYTES}
    assert "If-Range" not in server.asked[1]


@pytest.mark.slow
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
