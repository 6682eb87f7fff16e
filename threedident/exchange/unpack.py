"""Unpacks a tar archive of a split, and takes nothing from it but plain files."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath

from threedident.runtime.errors import printable
from threedident.runtime.files import open_plain
from threedident.runtime.progress import megabytes
from threedident.storage.folder import SplitFolder

_MOST_MEMBER_BYTES = 2**30  # the largest file of the published archive takes 20 MB
_MOST_GROWTH = 4  # images do not grow when they are unpacked


def unpack(archive: Path, target: Path) -> None:
    """Unpack an archive into a folder.

    Arguments:
        archive: a tar file.
        target: an empty folder.

    Raises:
        ValueError: it is no tar file, or holds anything but files and folders of sane sizes
            below its own root.
    """
    size = archive.stat().st_size
    left = _MOST_GROWTH * size
    try:
        with (
            open_plain(archive) as file,
            tarfile.open(fileobj=file) as tar,
            megabytes(f"unpack {archive.name}", size) as count,
        ):
            for member in tar:
                _require_plain(member, archive, left)
                left -= member.size
                tar.extract(member, target, filter="data")
                count(tarfile.BLOCKSIZE * (1 + -(-member.size // tarfile.BLOCKSIZE)))
            count(size)  # the padding at the end counts as done
    except (tarfile.TarError, EOFError, MemoryError, OverflowError) as error:
        raise _not_ours(
            archive, "a whole tar archive", printable(str(error) or "sizes beyond all memory")
        ) from None


def _require_plain(member: tarfile.TarInfo, archive: Path, left: int) -> None:
    path = PurePosixPath(member.name)
    name = printable(repr(member.name))
    if path.is_absolute() or ".." in path.parts:
        raise _not_ours(archive, "names below one folder", name)
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE):
        raise _not_ours(archive, "files and folders alone", f"{name}, which is neither")
    if member.size > min(left, _MOST_MEMBER_BYTES):
        raise _not_ours(archive, "files of sane sizes", f"{name} of {member.size} bytes")


def _not_ours(archive: Path, expected: str, found: str) -> ValueError:
    return ValueError(
        f"{archive}: expected {expected}, found {found}; delete it and fetch it from elsewhere"
    )


def split_root(folder: Path, archive: Path) -> Path:
    """The folder of a split among what was unpacked, however deep it lies.

    Arguments:
        folder: where the archive was unpacked.
        archive: for messages.

    Raises:
        ValueError: there is none, or more than one.
    """
    name = SplitFolder(folder, ".").raw_latents.name
    found = [path.parent for path in folder.rglob(name)]
    if len(found) != 1:
        raise _not_ours(archive, f"one folder with {name}", str(len(found)))
    return found[0]
