"""The images and latents of one split as a torch Dataset."""

from __future__ import annotations

import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch.utils.data import Dataset

from threedident.annotations import read_depth, read_mask
from threedident.latents import SPLITS, check_raw
from threedident.manifest import Manifest, missing_manifest, read_manifest
from threedident.storage import SplitFolder, load_npy


class ThreeDIdent(Dataset[tuple[Any, torch.Tensor]]):
    """Rendered images and the raw latents behind them.

    An item is ``(image, latents)``: the image as uint8 tensor of shape (3, H, W), or whatever
    ``transform`` makes of the PIL image, and the ten raw latents as float32 tensor in [-1, 1],
    in the order of :data:`threedident.factors.FACTORS`.

    Arguments:
        root: folder that holds ``train/`` and ``test/``, rendered by ``threedident render`` or
            unpacked from the published archive.
        split: ``train`` or ``test``, or the positives rendered beside one,
            ``train/positives`` or ``test/positives``, whose row i is the positive of row i.
        transform: called with the PIL image (RGB), as torchvision's data sets do.

    Attributes:
        latents: all raw latents, shape (N, 10), float32, read-only; 11 columns in the periodic
            space.
        manifest: how the split was rendered; None for the published archive.

    Raises:
        ValueError: the folder is no finished data set, or images are missing.

    Example:
        >>> from threedident import ThreeDIdent
        >>> ThreeDIdent("no/such/folder")
        Traceback (most recent call last):
        ...
        ValueError: no/such/folder/train/dataset.json: expected the manifest of a rendered split, \
found no folder no/such/folder; render one with threedident render --out
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        transform: Callable[[Image.Image], Any] | None = None,
    ) -> None:
        self.folder = _find_split(Path(root), split)
        self.transform = transform
        self.manifest = _open_manifest(self.folder)
        path = self.folder.raw_latents
        space = self.manifest.origin.space if self.manifest is not None else "box"
        self.latents = check_raw(load_npy(path), str(path), space)
        self.latents.setflags(write=False)
        self._digits = self.folder.digits()
        self._check_counts()

    def __len__(self) -> int:
        return len(self.latents)

    def __getitem__(self, index: int) -> tuple[Any, torch.Tensor]:
        row = range(len(self))[operator.index(index)]
        picture = self._read(row)
        image = _to_tensor(picture) if self.transform is None else self.transform(picture)
        return image, torch.from_numpy(self.latents[row].copy())

    def mask(self, index: int) -> NDArray[np.uint8]:
        """What every pixel shows, by the labels of :mod:`threedident.annotations`, (H, W)."""
        return read_mask(self._annotation("mask", index))

    def depth(self, index: int) -> NDArray[np.float32]:
        """Distance of every pixel along the camera's axis in Blender units, (H, W)."""
        return read_depth(self._annotation("depth", index))

    def _annotation(self, name: str, index: int) -> Path:
        given = () if self.manifest is None else self.manifest.rendering.annotations
        if name not in given:
            raise ValueError(
                f"{self.folder.path}: expected a data set rendered with --annotate {name}, found "
                f"{','.join(given) or 'no annotations'}"
            )
        return self.folder.annotation(name, range(len(self))[operator.index(index)])

    def channel_statistics(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of each channel over all pixels, in [0, 1], shape (3,).

        They stand in the manifest; without one they are measured, which reads every image.
        """
        if self.manifest is not None:
            return np.array(self.manifest.channel_mean), np.array(self.manifest.channel_std)
        images = (np.asarray(self._read(i), dtype=np.float64) / 255.0 for i in range(len(self)))
        moments = sum(np.stack([x.mean((0, 1)), (x**2).mean((0, 1))]) for x in images)
        mean, square = np.asarray(moments) / len(self)
        return mean, np.sqrt(square - mean**2)

    def _read(self, row: int) -> Image.Image:
        path = self.folder.image(row, self._digits)
        try:
            with Image.open(path) as file:
                picture = file.convert("RGB")
        except (OSError, SyntaxError, UnidentifiedImageError) as error:
            what = "nothing" if isinstance(error, FileNotFoundError) else "a damaged file"
            raise ValueError(
                f"{path}: expected an image, found {what}; threedident verify names every bad "
                "file, and the same render command again repairs them"
            ) from None
        edge = self.manifest.rendering.resolution if self.manifest is not None else None
        if edge is not None and picture.size != (edge, edge):
            raise ValueError(
                f"{path}: expected an image of {edge} x {edge} pixels, found {picture.size}; the "
                "same render command again repairs it"
            )
        return picture

    def _check_counts(self) -> None:
        if self.manifest is not None and self.manifest.n != len(self):
            raise ValueError(
                f"{self.folder.raw_latents}: expected {self.manifest.n} rows as the manifest "
                f"says, found {len(self)}; give the same render command again"
            )
        images = self.folder.images
        names = {path.name for path in images.iterdir()} if images.is_dir() else set()
        wanted = (self.folder.image(i, self._digits).name for i in range(len(self)))
        missing = [name for name in wanted if name not in names]
        if missing:
            raise ValueError(
                f"{images}: expected {len(self)} images, one for each row of latents, "
                f"found {len(missing)} missing, first {missing[0]}; "
                + ("unpack the archive" if self.manifest is None else "give the render command")
                + " again to repair them"
            )


def _find_split(root: Path, split: str) -> SplitFolder:
    folders = [SplitFolder(root, name) for name in SPLITS]
    places = {str(f.path.relative_to(root)): f for f in folders}
    places |= {str(f.positives.path.relative_to(root)): f.positives for f in folders}
    if split not in places:
        raise ValueError(f"split: expected one of {', '.join(places)}, found {split!r}")
    return places[split]


def _open_manifest(folder: SplitFolder) -> Manifest | None:
    manifest = read_manifest(folder)
    ours = folder.scratch.is_dir() or folder.sums.exists()
    if manifest is None and (ours or not folder.raw_latents.is_file()):
        raise ValueError(missing_manifest(folder))
    return manifest


def _to_tensor(picture: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
