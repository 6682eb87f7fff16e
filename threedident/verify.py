"""Checks a split against its manifest: every missing, truncated or altered file is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from threedident.latents import sample_raw
from threedident.manifest import Manifest, require_manifest
from threedident.storage import SplitFolder, npy_bytes, read_sums, sha256, sums_bytes

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
    """``missing``, ``truncated``, ``altered`` or None, from a PNG's first and last bytes."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_PNG_HEAD))
            file.seek(max(0, path.stat().st_size - len(_PNG_TAIL)))
            tail = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except IsADirectoryError:
        return "altered"
    return None if head == _PNG_HEAD and tail == _PNG_TAIL else "truncated"


def trusted_digests(folder: SplitFolder, manifest: Manifest) -> dict[int, str] | None:
    """Digests by index that the manifest vouches for, or None where it vouches for none.

    They stand in ``SHA256SUMS``. Where that file is lost or damaged, the images' own digests
    serve as well if together they are what the manifest recorded.
    """
    recorded = read_sums(folder.sums)
    digests = {index: recorded[index] for index in range(manifest.n) if index in recorded}
    if sha256(sums_bytes(digests)) == manifest.digests.sums:
        return digests
    paths = [folder.image(index) for index in range(manifest.n)]
    if not all(path.is_file() for path in paths):
        return None
    digests = {index: sha256(path.read_bytes()) for index, path in enumerate(paths)}
    return digests if sha256(sums_bytes(digests)) == manifest.digests.sums else None


def bad_files_beside(folder: SplitFolder, manifest: Manifest) -> list[Problem]:
    """The bad ones among the files beside the images, the manifest's own claims included."""
    digests = manifest.digests
    recorded = {
        folder.raw_latents: digests.raw_latents,
        folder.latents: digests.latents,
        folder.sums: digests.sums,
    }
    states = {path: _file_state(path, digest) for path, digest in recorded.items()}
    seed = manifest.origin.seed
    if seed is not None:
        drawn = sample_raw(seed, folder.split, manifest.n)
        genuine = sha256(npy_bytes(drawn)) == digests.raw_latents
        states[folder.manifest] = None if genuine else "altered"
    return [Problem(path, what) for path, what in states.items() if what is not None]


def _file_state(path: Path, digest: str) -> str | None:
    try:
        return None if sha256(path.read_bytes()) == digest else "altered"
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except IsADirectoryError:
        return "altered"


def verify_split(folder: SplitFolder, advance: Callable[[], None] = lambda: None) -> list[Problem]:
    """The bad files of a finished split, in order.

    Arguments:
        folder: the split.
        advance: called after every image.

    Raises:
        ValueError: the split has no manifest, or a damaged one.
    """
    manifest = require_manifest(folder)
    problems = bad_files_beside(folder, manifest)
    digests = trusted_digests(folder, manifest)
    if digests is None:
        digests = read_sums(folder.sums)
    for index in range(manifest.n):
        what = image_state(folder.image(index), digests.get(index))
        if what is not None:
            problems.append(Problem(folder.image(index), what))
        advance()
    return problems
