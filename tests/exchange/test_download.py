"""Archives, and the command that puts them in place."""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.conftest import cli, contents, followed, make_images, refused_at_once, start, wait_for
from tests.exchange.fetching import BYTES, HASTE, MOST, md5
from tests.exchange.servers import (
    Server,
    stall,
)
from threedident import ThreeDIdent
from threedident.exchange.download import download, unpack
from threedident.exchange.published import ADDRESS, ARCHIVES, Archive

pytestmark = pytest.mark.slow


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


def member(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, "/etc/hosts"
    return info


HOSTILE = {
    "paths inside the archive's own folder": [
        member("../out"),
        member("/out"),
        member("a/../../out"),
    ],
    "only files and folders": [
        member("train/images/0.png", kind)
        for kind in (
            tarfile.SYMTYPE,
            tarfile.LNKTYPE,
            tarfile.CHRTYPE,
            tarfile.BLKTYPE,
            tarfile.FIFOTYPE,
        )
    ],
    "files of reasonable size": [member("train/images/0.png", size=2**40)],
    "one folder with raw_latents.npy": [member("train/latents.npy")],
}


def start_download(server: Server, data: Path, archives: list[Archive]) -> list[str]:
    """The command line, for archives of our own."""
    script = (
        "import sys; from threedident.exchange import published as p; "
        "from threedident.cli import main; "
        f"p.ARCHIVES = tuple(p.Archive(*a) for a in {[tuple(vars(a).values()) for a in archives]})"
        f"; main(['download', {str(data)!r}, '--url', {server.url!r}])"
    )
    return [sys.executable, "-c", script]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set in the published layout; tests must not change it."""
    return make_images(tmp_path_factory.mktemp("published") / "data", n=24, n_test=8)


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
    line = refused_at_once("download", data, "--split", "train")
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


@pytest.mark.parametrize("harm", ["header", "end"])
def test_an_archive_that_ends_too_soon_is_refused(
    published: Path, tmp_path: Path, harm: str
) -> None:
    """Python's tarfile takes a damaged header, or the end of the file, for the archive's end."""
    content = bytearray(pack(published / "train", "train"))
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        place = tar.getmembers()[9].offset
    if harm == "header":
        content[place + 150] ^= 1  # of its checksum
    else:
        del content[place:]
    path, room = tmp_path / "a.tar", tmp_path / "room"
    path.write_bytes(content)
    room.mkdir()
    with pytest.raises(ValueError, match=r"a\.tar: expected a whole tar archive, found a damaged"):
        unpack(path, room)


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
    line = refused_at_once("download", tmp_path, "--url", server.url)
    assert f"3dident_train.tar: expected a file of md5 {ARCHIVES[0].md5}, found another" in line
    assert len(server.asked) == 2
    assert contents(tmp_path) == {}
    assert "found HTTP status 404" in refused_at_once(
        "download", tmp_path, "--split", "test", "--url", server.url
    )


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
