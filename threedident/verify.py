"""Checks a split against its manifest: every missing, truncated or altered file is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from threedident.manifest import require_manifest
from threedident.storage import SplitFolder, read_sums, sha256

_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_PNG_TAIL = b"\x00\x00\x00\x00IEND\xaeB`\x82"


@dataclass(frozen=True)
class Problem:
    """A bad file and what is wrong with it: ``missing``, ``truncated`` or ``altered``."""

    path: Path
    what: str


def image_state(path: Path, digest: str | None) -> str | None:
    """What is wrong with an image, or None; without a digest nothing counts as intact."""
    what = _completeness(path)
    if what is None and digest != sha256(path.read_bytes()):
        return "altered"
    return what


def quick_check(folder: SplitFolder, n: int) -> None:
    """Check that the first ``n`` images are there and complete, without their digests.

    Raises:
        ValueError: an image is missing or truncated; the message names the first.
    """
    digits = folder.digits()
    for index in range(n):
        path = folder.image(index, digits)
        what = _completeness(path)
        if what is not None:
            raise ValueError(
                f"{path}: expected a whole image, found it {what}; threedident verify names "
                "every bad file, and the same render command again repairs them"
            )


def _completeness(path: Path) -> str | None:
    """``missing``, ``truncated`` or None, from a PNG's first and last bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_PNG_HEAD))
            file.seek(max(0, path.stat().st_size - len(_PNG_TAIL)))
            tail = file.read()
    except FileNotFoundError:
        return "missing"
    return None if head == _PNG_HEAD and tail == _PNG_TAIL else "truncated"


def verify_split(folder: SplitFolder, advance: Callable[[], None] = lambda: None) -> list[Problem]:
    """The bad files of a finished split, in order.

    Arguments:
        folder: the split.
        advance: called after every image.

    Raises:
        ValueError: the split has no manifest, or a damaged one.
    """
    return list(_problems(folder, advance))


def _problems(folder: SplitFolder, advance: Callable[[], None]) -> Iterator[Problem]:
    manifest = require_manifest(folder)
    digests = manifest.digests
    beside = [
        (folder.raw_latents, digests.raw_latents),
        (folder.latents, digests.latents),
        (folder.sums, digests.sums),
    ]
    for path, digest in beside:
        if not path.is_file():
            yield Problem(path, "missing")
        elif sha256(path.read_bytes()) != digest:
            yield Problem(path, "altered")
    sums = read_sums(folder.sums)
    for index in range(manifest.n):
        what = image_state(folder.image(index), sums.get(index))
        if what is not None:
            yield Problem(folder.image(index), what)
        advance()
