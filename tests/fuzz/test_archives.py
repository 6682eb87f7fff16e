"""Archives that are unpacked, whoever made them."""

from __future__ import annotations

import io
import tarfile
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from tests.conftest import contents
from tests.fuzz.damage.edits import Edit, damages
from tests.fuzz.damage.specimens import make_published
from tests.fuzz.hunting import hunt
from threedident.exchange.download import split_root, unpack


@dataclass(frozen=True)
class Member:
    """Another header of one member of an archive, with a checksum that holds."""

    field: str
    at: int
    value: int

    def __call__(self, content: bytes) -> bytes:
        try:
            with tarfile.open(fileobj=io.BytesIO(content)) as tar:
                members = [(m, tar.extractfile(m)) for m in tar.getmembers()]
                pairs = [(m, b"" if file is None else file.read()) for m, file in members]
        except (tarfile.TarError, EOFError, KeyError, ValueError, OSError):
            return content
        if not pairs:
            return content
        member, _ = pairs[self.at % len(pairs)]
        _change(member, self.field, self.value)
        buffer = io.BytesIO()
        for info, data in pairs:
            with suppress(ValueError, UnicodeError):
                buffer.write(info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512))
        return buffer.getvalue() + bytes(1024)


_NAMES = (
    *(
        "/etc/x",
        "../x",
        "a/../../x",
        "./set/../../x",
        "",
        ".",
        "..",
        "x" * 300,
        "a\x1b[2J",
        "a\nb",
    ),
    *(
        "set/raw_latents.npy",
        "other/raw_latents.npy",
        "\udcff",
        "con",
        "a/b/c/d/e/f",
        "//x",
        "\\x",
    ),
)
_TYPES = tuple(bytes([each]) for each in b"01234567SLKxgZ\0")
_SIZES = (0, 1, 511, 513, 2**30 - 1, 2**31, 2**40, 8**11 - 1)


def _change(member: tarfile.TarInfo, field: str, value: int) -> None:
    match field:
        case "name":
            member.name = _NAMES[value % len(_NAMES)]
        case "type":
            member.type = _TYPES[value % len(_TYPES)]
            member.linkname = _NAMES[(value // 7) % len(_NAMES)]
        case "size":
            member.size = _SIZES[value % len(_SIZES)]
        case _:
            member.mode, member.uid, member.mtime = 0o7777, 2**21 - 1, 8**11 - 1


_members: st.SearchStrategy[Edit] = st.builds(
    Member,
    field=st.sampled_from(("name", "name", "type", "size", "mode")),
    at=st.integers(0, 30),
    value=st.integers(0, 300),
)


def test_archives(tmp_path: Path) -> None:
    """Only plain files come out of an archive, and only below its own folder."""
    root, path = make_published(tmp_path / "set"), tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(root / "train", "set")

    def read() -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            room = Path(folder) / "room"
            room.mkdir()
            try:
                unpack(path, room)
                split_root(room, path)
            finally:
                assert [p.name for p in Path(folder).iterdir()] == ["room"]
            found = list(room.rglob("*"))
            assert all(p.is_dir() or p.is_file() for p in found)
            assert not any(p.is_symlink() for p in found)
            return contents(room)

    def judge(found: dict[str, bytes], _sound: object) -> None:
        assert found

    hunt("tar archive", path, damages(_members, _members), read, judge)
