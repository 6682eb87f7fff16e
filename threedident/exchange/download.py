"""Brings the published data set to the disk: fetch, check, unpack, put in place."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from threedident.dataset.split import ThreeDIdent
from threedident.exchange.fetch import Patience, fetch
from threedident.exchange.partial import Part
from threedident.exchange.published import ADDRESS, ARCHIVES, Archive
from threedident.latents.sampling import SPLITS
from threedident.runtime.errors import Interrupted, printable
from threedident.runtime.files import locked, open_plain, require_room, spell_bytes
from threedident.runtime.progress import megabytes
from threedident.storage.folder import SplitFolder

_STORE = ".download"
_UNPACKED = 1.1  # bytes on the disk for each of the archive, whose files it pads less
_MOST_MEMBER_BYTES = 2**30  # the largest file of the published archive takes 20 MB
_MOST_GROWTH = 4  # images do not grow when they are unpacked


def download(
    root: Path,
    archives: Sequence[Archive] = ARCHIVES,
    base_url: str = ADDRESS,
    patience: Patience | None = None,
) -> Iterator[str]:
    """Fetch the published data set, or what is missing of it.

    Arguments:
        root: folder that will hold ``train/`` and ``test/``; what has come in of an archive
            stays in ``.download/`` there until its split is whole.
        archives: which to fetch.
        base_url: address below which they lie.
        patience: with the server.

    Yields:
        A line on each split, once it is there.

    Raises:
        ValueError: something else is in the split's place, the disk has too little room, or an
            archive cannot be fetched or is not the published one.
        Interrupted: by Ctrl-C; what has come in stays.
    """
    for split in SPLITS:
        _require_not_rendered(SplitFolder(root, split))
    store = root / _STORE
    with locked(root):
        try:
            for archive in archives:
                yield _obtain(SplitFolder(root, archive.split), archive, base_url, patience)
        except KeyboardInterrupt:
            raise Interrupted(_kept(store)) from None
        finally:
            with suppress(OSError):  # it is not empty where something is still to come
                store.rmdir()


def _kept(store: Path) -> str:
    held = sum(path.stat().st_size for path in store.glob("*") if path.is_file())
    return (
        f"interrupted; {spell_bytes(held)} are kept in {store}, the same command again goes on "
        "from there"
    )


def _require_not_rendered(folder: SplitFolder) -> None:
    if any(path.exists() for path in (folder.manifest, folder.sums, folder.scratch)):
        raise ValueError(
            f"{folder.path}: expected the published split or nothing there, found a rendered one, "
            "with which the published images must not mix; give another folder"
        )


def _obtain(
    folder: SplitFolder, archive: Archive, base_url: str, patience: Patience | None
) -> str:
    """Make one split be there; a line on it."""
    place = folder.root / _STORE / archive.name
    count = _images_there(folder)
    if count is not None:
        _clear(place)
        return f"{folder.path}: {count} images, there already"
    place.parent.mkdir(exist_ok=True)
    fetch(
        f"{base_url.rstrip('/')}/{archive.name}",
        place,
        archive.md5,
        archive.most,
        patience,
        lambda left, size: _require_room(folder.root, left, size),
    )
    _require_room(folder.root, 0, place.stat().st_size)
    count = _install(place, folder)
    _clear(place)
    return f"{folder.path}: {count} images"


def _images_there(folder: SplitFolder) -> int | None:
    """How many images an earlier run brought, or None where there is no such split.

    Raises:
        ValueError: something is there, but no split that opens.
    """
    if not folder.path.exists() or (folder.path.is_dir() and not any(folder.path.iterdir())):
        return None
    try:
        return len(ThreeDIdent(folder.root, folder.split))
    except ValueError as error:
        raise ValueError(
            f"{folder.path}: expected a whole split or nothing there, found something else "
            f"({error}); move it away and give the command again"
        ) from None


def _require_room(root: Path, left: int, size: int) -> None:
    """Check that what is left of an archive of ``size`` bytes fits, and what it unpacks to."""
    advice = "free some space, or give another folder"
    require_room(root, left + _UNPACKED * size, "for the archive and its files", advice)


def _install(archive: Path, folder: SplitFolder) -> int:
    """Unpack an archive, and put its split in place once it opens; how many images it has."""
    scratch, ready = archive.parent / "unpacked", archive.parent / "ready"
    try:
        for path in (scratch, ready):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        unpack(archive, scratch)
        split_root(scratch, archive).rename(ready / folder.split)
        count = len(ThreeDIdent(ready, folder.split))
        os.sync()  # the archive goes, so its files must have reached the disk
        (ready / folder.split).rename(folder.path)
    finally:
        for path in (scratch, ready):
            shutil.rmtree(path, ignore_errors=True)
    return count


def _clear(place: Path) -> None:
    """Remove an archive and all that belongs to it."""
    Part(place).discard()
    place.unlink(missing_ok=True)


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
            _require_end(tar, archive)
            count(size)  # the padding at the end counts as done
    except (tarfile.TarError, EOFError, MemoryError, OverflowError) as error:
        raise _not_ours(
            archive, "a whole tar archive", printable(str(error) or "sizes beyond all memory")
        ) from None


def _require_end(tar: tarfile.TarFile, archive: Path) -> None:
    """Check that a block of zeros ends the archive; tarfile takes any damaged header for its end."""
    assert tar.fileobj is not None
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise _not_ours(archive, "a whole tar archive", "a damaged header in it, or no end")


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
