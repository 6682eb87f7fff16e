"""The train and test splits of a run, with checks that they can be trained and scored on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmark.metrics.rows import LEAST_ROWS
from threedident.dataset.split import ThreeDIdent
from threedident.latents.factor_set import FactorSet, ordered
from threedident.latents.factors import NAMES
from threedident.runtime.files import MOST_ARRAY, read_plain, sha256
from threedident.storage.manifest import require_alike
from threedident.storage.verify import quick_check


def open_splits(data: Path, resolution: int | None) -> tuple[ThreeDIdent, ThreeDIdent]:
    """The train and the test split of a data set.

    Arguments:
        data: folder of the data set.
        resolution: edge of the images in pixels; None for that of the data set.

    Raises:
        ValueError: a split is incomplete, the splits were rendered with different settings or are
            of different latent spaces, or there are too few test images.
    """
    train = ThreeDIdent(data, "train", resolution=resolution)
    test = ThreeDIdent(data, "test", resolution=resolution)
    require_alike([split.manifest for split in (train, test) if split.manifest is not None])
    for split in (train, test):
        if split.pack is None:
            quick_check(split.folder, len(split))
    _check_spaces(train, test)
    _check_test_split(test)
    return train, test


def scored_factors(
    splits: tuple[ThreeDIdent, ThreeDIdent], chosen: Sequence[str] | None
) -> FactorSet:
    """The factors that vary, or those of the chosen ones that vary.

    Arguments:
        splits: train and test split.
        chosen: names of factors; None for all.

    Raises:
        ValueError: a factor varies in one split only, or no chosen factor varies.
    """
    manifest = splits[0].manifest
    whole = FactorSet("box" if manifest is None else manifest.origin.space)
    train, test = (whole.varying(split.latents).names for split in splits)
    asked = set(NAMES if chosen is None else chosen)
    for name in NAMES:
        if name in asked and (name in train) != (name in test):
            here, there = splits if name in train else splits[::-1]
            raise ValueError(
                f"--data: expected the same factors to vary in both splits, found that {name} "
                f"varies in {here.folder.path} and is constant in {there.folder.path}; choose "
                "others with --factors"
            )
    if not asked.intersection(train):
        raise ValueError(
            f"--factors: expected a factor that varies in {splits[0].folder.path} "
            f"({', '.join(train)}), found {', '.join(ordered(asked))}; choose others"
        )
    return FactorSet(whole.space, ordered(asked.intersection(train)))


def _check_spaces(train: ThreeDIdent, test: ThreeDIdent) -> None:
    """Check that both splits are of one latent space.

    Raises:
        ValueError: they are not.
    """
    spaces = [
        "box" if split.manifest is None else split.manifest.origin.space for split in (train, test)
    ]
    if spaces[0] != spaces[1]:
        raise ValueError(
            f"--data: expected one latent space for both splits, found {spaces[0]} for train and "
            f"{spaces[1]} for test; render one data set"
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
