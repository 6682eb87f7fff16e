"""Verification of a split against its manifest, which finds missing, truncated or altered files.

The fast check looks at the size and the first and last bytes of each picture. The deep check
reads, decodes and digests each picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from threedident.runtime.files import MOST_ARRAY, load_npy, open_plain, read_plain, sha256
from threedident.storage.folder import (
    MOST_PICTURE,
    SplitFolder,
    picture_name,
    read_sums,
    sums_bytes,
)
from threedident.storage.manifest import Manifest, require_manifest
from threedident.storage.pictures import EDGES, PNG_HEAD, check_chunks, decode_picture

_PNG_TAIL = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_MOST_DISPUTED = 4  # if at most so many pictures disagree with their lines, all choices are tried


@dataclass(frozen=True)
class Problem:
    """A bad file and what is wrong with it, such as ``missing``, ``truncated`` or ``altered``."""

    path: Path
    what: str


def picture_state(path: Path, digest: str | None) -> str | None:
    """The fault of a picture, or None if it is intact. Without a digest it counts as altered."""
    what = _header_state(path)
    return what or (_file_state(path, digest) if digest is not None else "altered")


def quick_check(
    folder: SplitFolder,
    n: int,
    chunks: bool = False,
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Check that the first ``n`` images exist and are complete, without using digests.

    Arguments:
        folder: the split.
        n: number of images.
        chunks: True to read every image and compare its chunks with their checksums.
        advance: called after every image.

    Raises:
        ValueError: an image is missing, truncated or damaged. The message names the first one.
    """
    digits = folder.digits()
    for index in range(n):
        path = folder.image(index, digits)
        what = _header_state(path) or (_chunk_state(path) if chunks else None)
        advance()
        if what is not None:
            raise ValueError(
                f"{path}: expected a whole image, found it {what}; threedident verify names "
                "every bad file, and the same render command again repairs them"
            )


def _header_state(path: Path, size: int | None = None, edge: int | None = None) -> str | None:
    """``missing``, ``truncated``, ``altered`` or None, from a PNG's first and last bytes."""
    try:
        with open_plain(path) as file:
            head = file.read(len(PNG_HEAD) + EDGES.size)
            length = path.stat().st_size
            file.seek(max(0, length - len(_PNG_TAIL)))
            tail = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except (IsADirectoryError, ValueError):
        return "altered"
    except OSError:
        return "unreadable"
    if not head.startswith(PNG_HEAD) or tail != _PNG_TAIL or (size and length < size):
        return "truncated"
    resized = edge is not None and EDGES.unpack(head[len(PNG_HEAD) :]) != (edge, edge)
    return "altered" if resized or size not in (None, length) else None


def _chunk_state(path: Path) -> str | None:
    try:
        check_chunks(read_plain(path, MOST_PICTURE))
    except ValueError:
        return "damaged"
    except OSError:
        return "unreadable"
    return None


def _deep_state(path: Path, digest: str | None) -> str | None:
    what = picture_state(path, digest)
    if what is not None:
        return what
    try:
        decode_picture(read_plain(path, MOST_PICTURE))
    except (OSError, ValueError):
        return "undecodable"
    return None


def trusted_digests(folder: SplitFolder, manifest: Manifest) -> dict[str, str] | None:
    """Digests by picture name that agree with the manifest, or None if there are none.

    They are read from ``SHA256SUMS``. If that file is lost or damaged, its bad lines are replaced
    by digests computed from the pictures. The result counts only if its own digest is the one
    that the manifest records.
    """
    recorded = read_sums(folder.sums)
    names = [picture_name(path) for path in _pictures(folder, manifest)]
    lines = {name: recorded[name] for name in names if name in recorded}
    if sha256(sums_bytes(lines)) == manifest.digests.sums:
        return lines
    found = dict(_own_digests(folder, names))
    disputed = [name for name in names if name in lines and lines[name] != found.get(name)]
    if len(disputed) > _MOST_DISPUTED:
        disputed = []
    for mine in product((False, True), repeat=len(disputed)):
        chosen = {**lines, **found} if not disputed else {**found, **lines}
        chosen |= {
            name: found[name]
            for name, own in zip(disputed, mine, strict=True)
            if own and name in found
        }
        if sha256(sums_bytes(chosen)) == manifest.digests.sums:
            return chosen
    return None


def _own_digests(folder: SplitFolder, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        path = folder.path / name
        if path.is_file():
            yield name, sha256(read_plain(path, MOST_PICTURE))


def _pictures(folder: SplitFolder, manifest: Manifest) -> Iterator[Path]:
    for index in range(manifest.n):
        yield from folder.pictures(index, manifest.rendering.annotations)


def bad_files_beside(folder: SplitFolder, manifest: Manifest) -> list[Problem]:
    """The bad files other than pictures, including a manifest whose origin does not fit."""
    digests = manifest.digests
    recorded = {
        folder.raw_latents: digests.raw_latents,
        folder.latents: digests.latents,
        folder.sums: digests.sums,
        folder.sizes: digests.sizes,
    }
    states = {path: _file_state(path, digest) for path, digest in recorded.items()}
    if manifest.origin.rows is None and states[folder.raw_latents] is None:
        genuine = _is_drawn(load_npy(folder.raw_latents), manifest)
        states[folder.manifest] = None if genuine else "altered"
    return [Problem(path, what) for path, what in states.items() if what is not None]


def _is_drawn(raw: NDArray[np.generic], manifest: Manifest) -> bool:
    """True if raw latents equal those drawn from the manifest's origin, up to 1e-6.

    The tolerance is needed because special functions differ between machines in the last digit.
    """
    drawn = manifest.origin.draw(manifest.n)
    return raw.shape == drawn.shape and bool(np.allclose(raw, drawn, rtol=0.0, atol=1e-6))


def _file_state(path: Path, digest: str) -> str | None:
    try:
        return None if sha256(read_plain(path, MOST_ARRAY)) == digest else "altered"
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except (IsADirectoryError, ValueError):
        return "altered"
    except OSError:
        return "unreadable"


def verify_split(
    folder: SplitFolder,
    deep: bool = False,
    advance: Callable[[], None] = lambda: None,
    *,
    decode: bool = True,
) -> list[Problem]:
    """The bad files of a finished split, in order.

    Arguments:
        folder: the split.
        deep: True to read, decode and digest every picture. Otherwise only its size and its
            first and last bytes are checked.
        advance: called after every picture.
        decode: False to leave out decoding in the deep check, which is faster.

    Raises:
        ValueError: the split has no manifest, or a damaged one.
    """
    manifest = require_manifest(folder)
    problems = bad_files_beside(folder, manifest)
    check = _deep_check(folder, manifest, decode) if deep else _fast_check(folder, manifest)
    for number, path in enumerate(_pictures(folder, manifest)):
        what = check(number, path)
        if what is not None:
            problems.append(Problem(path, what))
        advance()
    return problems


def _deep_check(
    folder: SplitFolder, manifest: Manifest, decode: bool
) -> Callable[[int, Path], str | None]:
    digests = trusted_digests(folder, manifest)
    if digests is None:
        digests = read_sums(folder.sums)
    state = _deep_state if decode else picture_state
    return lambda _, path: state(path, digests.get(picture_name(path)))


def _fast_check(folder: SplitFolder, manifest: Manifest) -> Callable[[int, Path], str | None]:
    sizes, edge = _recorded_sizes(folder, manifest), manifest.rendering.resolution
    return lambda number, path: _header_state(path, sizes[number], edge)


def _recorded_sizes(folder: SplitFolder, manifest: Manifest) -> list[int | None]:
    """Recorded sizes of all pictures, row by row; all None if they disagree with the manifest."""
    count = manifest.n * (1 + len(manifest.rendering.annotations))
    if _file_state(folder.sizes, manifest.digests.sizes) is None:
        sizes: list[int | None] = np.ravel(load_npy(folder.sizes)).tolist()
        if len(sizes) == count:
            return sizes
    return [None] * count
