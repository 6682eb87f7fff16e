from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from threedident.runtime.errors import explain
from threedident.runtime.files import (
    atomic_write,
    load_npy,
    npy_bytes,
    open_appending,
    open_plain,
    read_plain,
    sha256,
    sweep,
    whole_lines,
    write_bytes,
)
from threedident.storage.folder import SplitFolder, picture_name, read_sums, sums_bytes


def test_write_replaces_whole_files(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"old")
    write_bytes(tmp_path / "file", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"new")]


def test_a_failed_write_changes_nothing(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"old")
    writer = atomic_write(tmp_path / "file")
    writer.__enter__().write(b"half")
    assert not writer.__exit__(RuntimeError, RuntimeError(), None)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]


@pytest.mark.slow
def test_a_killed_writer_leaves_only_what_sweep_removes(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from threedident.runtime.files import atomic_write
with atomic_write(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    write_bytes(tmp_path / "file", b"old")
    result = subprocess.run([sys.executable, "-c", script, str(tmp_path / "file")])
    assert result.returncode == -9
    assert (tmp_path / "file").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_write_that_fails_names_the_file_and_not_the_temporary_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "nowhere" / "file", tmp_path / "folder"):
        with pytest.raises(OSError, match=r"No such file|Is a directory") as caught:
            write_bytes(path, b"new")
        assert caught.value.filename == str(path)
        assert explain(caught.value).startswith(f"{path}: ")
    other = OSError(2, "No such file or directory", "elsewhere")
    with pytest.raises(OSError, match="No such") as caught, atomic_write(tmp_path / "file"):
        raise other  # of a file that is read while this one is written
    assert caught.value.filename == "elsewhere"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_npy_round_trip(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(5, 10)).astype(np.float32)
    write_bytes(tmp_path / "a.npy", npy_bytes(array))
    assert (load_npy(tmp_path / "a.npy") == array).all()


GIANT = npy_bytes(np.ones((9, 9))).replace(b"(9, 9)", b"(9, 9999999999)".ljust(6))


@pytest.mark.parametrize(
    "content", [b"", b"not npy", b"PK\x03\x04 no zip", npy_bytes(np.ones((9, 9)))[:-50], GIANT]
)
def test_damaged_npy_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.npy: expected a plain npy array"):
        load_npy(path)
    with pytest.raises(ValueError, match="found nothing"):
        load_npy(tmp_path / "b.npy")


def test_an_array_that_is_not_the_recorded_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    write_bytes(path, npy_bytes(np.arange(9.0)))
    digest = sha256(path.read_bytes())
    assert (load_npy(path, digest) == np.arange(9.0)).all()
    write_bytes(path, npy_bytes(np.arange(9.0)[::-1]))
    with pytest.raises(ValueError, match=r"a\.npy: expected the file .* found it altered"):
        load_npy(path, digest)


def test_a_folder_in_place_of_an_array_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.npy").mkdir()
    with pytest.raises(ValueError, match=r"a\.npy: expected a file there, found a folder"):
        load_npy(tmp_path / "a.npy")


def test_archives_are_no_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones(3))
    with pytest.raises(ValueError, match="found an archive"):
        load_npy(tmp_path / "a.npz")


@pytest.mark.slow
def test_sums_are_those_of_sha256sum(tmp_path: Path) -> None:
    folder = SplitFolder(tmp_path, "train")
    folder.images.mkdir(parents=True)
    digests = {}
    for index in (3, 0, 11):
        content = os.urandom(50)
        folder.image(index).write_bytes(content)
        digests[picture_name(folder.image(index))] = sha256(content)
    folder.sums.write_bytes(sums_bytes(digests))
    assert read_sums(folder.sums) == digests
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=folder.path).returncode == 0


def test_damaged_sums_lose_only_their_lines(tmp_path: Path) -> None:
    names = {"images/000000.png": "a" * 64, "masks/000000.png": "b" * 64}
    content = sums_bytes(names).replace(b"b" * 64, b"b" * 63)
    (tmp_path / "SHA256SUMS").write_bytes(content)
    assert read_sums(tmp_path / "SHA256SUMS") == {"images/000000.png": "a" * 64}
    assert read_sums(tmp_path / "absent") == {}


def occupy(path: Path, kind: str) -> None:
    """Put something at ``path`` that is no plain file."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_plain_file_is_refused_at_once(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets must be short
    occupy(Path("file"), kind)
    for read in (open_plain, open_appending, load_npy, lambda path: read_plain(path, 100)):
        with pytest.raises(ValueError, match=r"^file: expected a plain"):
            read(Path("file"))  # type: ignore[operator]
    assert read_sums(Path("file")) == {}


def test_plain_files_are_read_up_to_their_bound(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"", b"12345"):
        path.write_bytes(content)
        assert read_plain(path, 5) == content
    with pytest.raises(ValueError, match=r"file: expected at most 0\.004 kB, found 0\.005 kB"):
        read_plain(path, 4)
    with pytest.raises(ValueError, match="expected at most 1 kB, found"):
        read_plain(Path("/proc/self/smaps"), 1000)  # whose size is not known before
    with pytest.raises(IsADirectoryError):
        open_plain(tmp_path)
    with pytest.raises(FileNotFoundError):
        open_plain(tmp_path / "none")


def test_a_file_larger_than_its_bound_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    os.truncate(path, 2**40)  # more than there is memory
    with pytest.raises(ValueError, match=r"file: expected at most 550 GB, found 1\.1 TB"):
        read_plain(path, 2**39)


def test_lines_that_are_too_long_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one\n" + b"x" * 1000 + b"\ntwo\n" + b"x" * 8 + b"\n1234567\nend")
    with path.open("rb") as file:
        assert list(whole_lines(file, 8)) == [b"one\n", b"two\n", b"1234567\n", b"end"]


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EIO, errno.ENAMETOOLONG, errno.ENOSPC])
def test_an_error_of_the_system_takes_one_bounded_line(number: int) -> None:
    name = "/tmp/\x1b[2J\n" + "x" * 4000
    line = explain(OSError(number, os.strerror(number), name))
    assert line.startswith("/tmp/?[2J x")
    assert "expected" in line
    assert "found" in line
    assert line.isprintable()
    assert len(line) < 700


def test_links_to_plain_files_are_followed_where_they_may_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_plain(tmp_path / "link", 7) == b"content"
    with pytest.raises(ValueError, match="link: expected a plain file, found Too many levels"):
        read_plain(tmp_path / "link", 7, links=False)


def test_what_is_appended_comes_after_what_is_there(tmp_path: Path) -> None:
    for line in ("first\n", "zweite Zeile, für alle\n"):
        with open_appending(tmp_path / "file") as file:
            file.write(line)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "first\nzweite Zeile, für alle\n"
    with pytest.raises(IsADirectoryError):
        open_appending(tmp_path)


def test_a_file_takes_its_name_when_the_disk_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some disks say only then that they could not write."""
    write_bytes(tmp_path / "file", b"old")

    def refuse(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output error") as error:
        write_bytes(tmp_path / "file", b"new")
    assert error.value.filename == str(tmp_path / "file")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"old")]
