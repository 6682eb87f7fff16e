"""The train and test splits of a run, with checks that they can be trained and scored on."""

from __future__ import annotations

from pathlib import Path

from benchmark.metrics.rows import LEAST_ROWS
from threedident.dataset.split import ThreeDIdent
from threedident.runtime.files import MOST_ARRAY, read_plain, sha256
from threedident.storage.manifest import require_alike
from threedident.storage.verify import quick_check


def open_splits(data: Path, resolution: int | None) -> tuple[ThreeDIdent, ThreeDIdent]:
    """The train and the test split of a data set.

    Arguments:
        data: folder of the data set.
        resolution: edge of the images in pixels; None for that of the data set.

    Raises:
        ValueError: a split is incomplete, the splits were rendered with different settings, a
            factor is fixed, or there are too few test images.
    """
    train = ThreeDIdent(data, "train", resolution=resolution)
    test = ThreeDIdent(data, "test", resolution=resolution)
    require_alike([split.manifest for split in (train, test) if split.manifest is not None])
    for split in (train, test):
        if split.pack is None:
            quick_check(split.folder, len(split))
    _check_factors(train)
    _check_test_split(test)
    return train, test


def _check_factors(train: ThreeDIdent) -> None:
    """Check that every factor varies independently; otherwise its score has no meaning.

    Raises:
        ValueError: the data set is not of the box space, or has fixed factors.
    """
    origin = train.manifest.origin if train.manifest is not None else None
    if origin is not None and (origin.space != "box" or origin.fixed):
        found = f"fixed {', '.join(origin.fixed)}" if origin.fixed else f"the {origin.space} space"
        raise ValueError(
            f"--data: expected a data set of the box space whose ten factors all vary, found "
            f"{found}; render one without --space and --fix"
        )


def _check_test_split(split: ThreeDIdent) -> None:
    """Check that a test split has enough images.

    Raises:
        ValueError: there are too few images to score.
    """
    if len(split) < LEAST_ROWS:
        raise ValueError(
            f"{split.folder.path}: expected at least {LEAST_ROWS} test images to score on, found "
            f"{len(split)}; render more with --n-test"
        )


def identity(split: ThreeDIdent) -> str:
    """The digest of the images of a split, or of its latents if the images have no digests."""
    if split.manifest is not None:
        return split.manifest.digests.sums
    return sha256(read_plain(split.folder.raw_latents, MOST_ARRAY))
