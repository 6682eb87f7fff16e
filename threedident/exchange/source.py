"""Whole splits, to be exported in other layouts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from threedident.dataset.split import ThreeDIdent
from threedident.latents.sampling import SPLITS
from threedident.runtime.files import load_npy
from threedident.runtime.progress import progress
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import Manifest
from threedident.storage.verify import quick_check, verify_split

_MANY = 10_000  # pictures whose check takes long enough to show


@dataclass(frozen=True)
class WholeSplit:
    """A split whose files are all present and undamaged.

    Arguments:
        name: the split's path from the data set's root, such as ``train`` or ``train/positives``.
        folder: its files.
        manifest: its manifest; None for the published layout.
        raw: raw latents, shape (N, columns of the space), float32.
        physical: physical latents, shape (N, 10), float32.
        digits: number of digits in image names.
    """

    name: str
    folder: SplitFolder
    manifest: Manifest | None
    raw: NDArray[np.float32]
    physical: NDArray[np.float32]
    digits: int

    def __len__(self) -> int:
        return len(self.raw)

    @property
    def annotations(self) -> tuple[str, ...]:
        """Names of the annotations beside every image."""
        return () if self.manifest is None else self.manifest.rendering.annotations

    def image(self, row: int) -> Path:
        """The image of a row."""
        return self.folder.image(row, self.digits)


def open_sources(root: Path) -> list[WholeSplit]:
    """The splits of a data set, rendered or published, without their positives.

    Raises:
        ValueError: there are none, or one has files missing, truncated or altered.
    """
    names = [split for split in SPLITS if (root / split).is_dir()] or [SPLITS[0]]
    return [open_source(root, name) for name in names]


def open_source(root: Path, name: str) -> WholeSplit:
    """One split of a data set.

    Arguments:
        root: of the data set.
        name: the split as :class:`threedident.dataset.split.ThreeDIdent` takes it.

    Raises:
        ValueError: the split is not there, or has files missing, truncated or altered.
    """
    opened = ThreeDIdent(root, name)
    folder, manifest = opened.folder, opened.manifest
    _require_whole(name, folder, manifest, len(opened))
    physical = _physical(folder, len(opened))
    return WholeSplit(name, folder, manifest, opened.latents, physical, folder.digits())


def _require_whole(name: str, folder: SplitFolder, manifest: Manifest | None, n: int) -> None:
    """Read every picture and compare it with its digest, or with the checksums of its PNG chunks.

    Raises:
        ValueError: a picture is missing or damaged.
    """
    annotations = () if manifest is None else manifest.rendering.annotations
    pictures = n * (1 + len(annotations))
    with progress(f"check {name}", pictures, "pictures", quiet=pictures < _MANY) as advance:
        if manifest is None:
            quick_check(folder, n, chunks=True, advance=advance)
            return
        problems = verify_split(folder, deep=True, advance=advance, decode=False)
    if problems:
        raise ValueError(
            f"{problems[0].path}: expected a whole file, found it {problems[0].what} (and "
            f"{len(problems) - 1} more bad files); threedident verify names every bad file, and "
            "the same render command again repairs them"
        )


def _physical(folder: SplitFolder, n: int) -> NDArray[np.float32]:
    physical = load_npy(folder.latents)
    if physical.shape != (n, 10) or physical.dtype.kind != "f":
        raise ValueError(
            f"{folder.latents}: expected physical latents as floats of shape ({n}, 10), found "
            f"{physical.dtype} of shape {physical.shape}; restore the file from a copy"
        )
    return physical.astype(np.float32, copy=False)


def require_apart(root: Path, out: Path) -> None:
    """Check that an export is written outside the data set that it is made from.

    Raises:
        ValueError: it is inside.
    """
    source, target = root.resolve(), out.resolve()
    if source == target or source in target.parents:
        raise ValueError(
            f"{out}: expected a folder outside the data set {root}, found one in it; give another "
            "OUT"
        )


def other_content(path: Path) -> ValueError:
    """The error for a file that is not of this export."""
    return ValueError(
        f"{path}: expected nothing there or the file of this export, found another; move it away "
        "or give another OUT"
    )
