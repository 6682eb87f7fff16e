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
    """What is wrong with an image, or None; without a digest only its completeness is seen."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return "missing"
    if digest is not None and sha256(content) == digest:
        return None
    if not (content.startswith(_PNG_HEAD) and content.endswith(_PNG_TAIL)):
        return "truncated"
    return "altered" if digest is not None else None


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
