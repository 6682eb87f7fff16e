"""The images and latents of one split as a torch Dataset."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from torch.utils.data import Dataset, Subset

from threedident.dataset.annotations import read_depth, read_mask
from threedident.dataset.images import ImageFiles, require_shrinking, shrink
from threedident.dataset.pack import find_pack
from threedident.latents.factors import NAMES
from threedident.latents.layout import Layout, layout_of
from threedident.latents.sampling import SPLITS
from threedident.runtime.cards import Card
from threedident.runtime.errors import unknown
from threedident.runtime.progress import progress
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import open_latents, open_manifest
from threedident.storage.statistics import Channels


class ThreeDIdent(Card, Dataset[tuple[Any, torch.Tensor]]):
    """Rendered images and the raw latents behind them.

    An item is ``(image, latents)``. The image is a uint8 tensor of shape (3, H, W), or the result
    of ``transform`` for the PIL image. The latents are the ten raw latents as float32 tensor in
    [-1, 1], in the order of :data:`threedident.latents.factors.FACTORS`.

    Arguments:
        root: folder that holds ``train/`` and ``test/``, rendered by ``threedident render`` or
            unpacked from the published archive.
        split: ``train`` or ``test``; or ``train/positives`` or ``test/positives``, the rendered
            positives of these splits, whose row i is the positive of row i.
        transform: called with the PIL image (RGB), as torchvision's data sets do.
        resolution: edge of the images in pixels, at most that of the files, which is the
            default. Images are made smaller as torchvision's ``Resize`` does.

    Attributes:
        split: name of the split.
        factors: names of the ten factors, in order.
        latents: all raw latents, shape (N, 10), float32, read-only; 11 columns in the periodic
            space.
        manifest: record of how the split was rendered; None for the published archive.
        resolution: edge of the images in pixels.
        pack: the file of all images, if ``threedident pack`` made one of this resolution, or
            None. The images are equal with and without a pack.
        rows: the selected rows of the split, shape (N,); None for all, see :meth:`take`.

    Raises:
        ValueError: the folder is not a finished data set, images are missing, or the latents
            differ from those that the manifest records.

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
        *,
        resolution: int | None = None,
    ) -> None:
        self.folder = _find_split(Path(root), split)
        self.split = split
        self.factors = NAMES
        self.rows: NDArray[np.int64] | None = None
        self.transform = transform
        self.manifest = open_manifest(self.folder)
        self.latents = open_latents(self.folder, self.manifest)
        self.latents.setflags(write=False)
        self._files = ImageFiles(self.folder, self.manifest, len(self))
        self.resolution = self._files.edge if resolution is None else resolution
        require_shrinking(self.resolution, self._files.edge, self.folder.path)
        self.pack = find_pack(self.folder, self.manifest, self.resolution)
        if self.manifest is not None and self.pack is None:
            self._files.require_all()

    def __len__(self) -> int:
        return len(self.latents)

    @property
    def layout(self) -> Layout:
        """The units of the latents, on which rules of pairs act."""
        origin = None if self.manifest is None else self.manifest.origin
        return layout_of("box") if origin is None else layout_of(origin.space, origin.fixed)

    def __getitem__(self, index: int) -> tuple[Any, torch.Tensor]:
        row = range(len(self))[operator.index(index)]
        latents = torch.from_numpy(self.latents[row].copy())
        if self.transform is not None:
            return self.transform(self.picture(row)), latents
        return self.images([row])[0].contiguous(), latents

    def take(self, rows: ArrayLike) -> ThreeDIdent:
        """The same data set with only some of its rows.

        Arguments:
            rows: from 0 to N - 1, in any order, shape (M,) with M >= 1.

        Raises:
            ValueError: ``rows`` is empty, or contains a row outside 0 to N - 1.
        """
        picked = np.asarray(rows)
        if picked.ndim != 1 or not picked.size or picked.dtype.kind not in "iu":
            raise ValueError(
                f"rows: expected integers of shape (M,) with M >= 1, found {picked.dtype} of "
                f"shape {picked.shape}; name rows of the data set"
            )
        if picked.min() < 0 or picked.max() >= len(self):
            raise ValueError(
                f"rows: expected 0 to {len(self) - 1}, found {picked.min()} to {picked.max()}; "
                "name rows of the data set"
            )
        taken = copy.copy(self)
        taken.rows = self._rows_of_split(picked.astype(np.int64))
        taken.latents = self.latents[picked]
        taken.latents.setflags(write=False)
        return taken

    def _rows_of_split(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return rows if self.rows is None else self.rows[rows]

    def picture(self, row: int) -> Image.Image:
        """The image of row 0, 1, ..., N - 1 as an RGB picture."""
        [place] = self._rows_of_split(np.array([row])).tolist()
        if self.pack is None:
            return shrink(self._files.read(place), self.resolution)
        pixels = np.empty((1, self.resolution, self.resolution, 3), np.uint8)
        self.pack.read(np.array([place]), pixels)
        return Image.fromarray(pixels[0])

    def images(self, rows: ArrayLike, *, shared: bool = False) -> torch.Tensor:
        """The images of several rows at once, without the transform.

        Arguments:
            rows: from 0 to N - 1, shape (B,).
            shared: True to put the images into shared memory, so that a loader process can pass
                them on without a copy.

        Returns:
            Shape (B, 3, H, W), uint8, channels-last in memory.

        Raises:
            IndexError: there is no such row.
        """
        wanted = np.asarray(rows, np.int64)
        if wanted.size and not (wanted.min() >= 0 and wanted.max() < len(self)):
            raise IndexError(f"rows: expected 0 to {len(self) - 1}, found {wanted}")
        edge = self.resolution
        images = torch.empty((len(wanted), edge, edge, 3), dtype=torch.uint8)
        if shared and len(wanted):
            images.share_memory_()  # type: ignore[no-untyped-call]
        pixels = images.numpy()
        if self.pack is not None:
            self.pack.read(self._rows_of_split(wanted), pixels)
        else:
            for place, row in enumerate(wanted.tolist()):
                pixels[place] = np.asarray(self.picture(row))
        return images.permute(0, 3, 1, 2)

    def mask(self, index: int) -> NDArray[np.uint8]:
        """Label of every pixel, see :mod:`threedident.dataset.annotations`, shape (H, W)."""
        return read_mask(*self._annotation("mask", index))

    def depth(self, index: int) -> NDArray[np.float32]:
        """Distance of every pixel along the camera's axis in Blender units, shape (H, W)."""
        return read_depth(*self._annotation("depth", index))

    def _annotation(self, name: str, index: int) -> tuple[Path, int]:
        """The file of an annotation, and its edge in pixels."""
        given = () if self.manifest is None else self.manifest.rendering.annotations
        if name not in given:
            raise ValueError(
                f"{self.folder.path}: expected a data set rendered with --annotate {name}, found "
                f"{','.join(given) or 'no annotations'}"
            )
        row = np.array([range(len(self))[operator.index(index)]])
        path = self.folder.annotation(name, int(self._rows_of_split(row)[0]))
        return path, self._files.edge

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        edge, manifest = self.resolution, self.manifest
        space = "box" if manifest is None else manifest.origin.space
        chosen = "" if self.rows is None else " chosen"
        facts = {
            "folder": f"{self.folder.root}, {self.split} split",
            "images": f"{len(self)}{chosen}, {edge} x {edge} pixels"
            + (", packed" if self.pack is not None else ""),
            "latents": f"{self.latents.shape[1]} columns, {space} space",
            "factors": ", ".join(self.factors),
        }
        if manifest is None:
            return {**facts, "rendering": "published archive"}
        rendering, origin = manifest.rendering, manifest.origin
        facts["rendering"] = (
            f"{rendering.quality}, {rendering.material}, {rendering.hue_mode} hues, Blender "
            f"{rendering.blender}"
        )
        if origin.fixed:
            facts["fixed"] = ", ".join(f"{name} = {v:g}" for name, v in origin.fixed.items())
        if origin.conditional is not None:
            facts["positives from"] = origin.conditional
        if self.transform is not None:
            facts["transform"] = repr(self.transform)
        return facts

    def channel_statistics(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of each channel over all pixels, in [0, 1], shape (3,).

        They are taken from the manifest or the pack. If neither fits, or only some rows are
        selected, every image is read to measure them.
        """
        mean, std = self._channels().moments(len(self) * self.resolution**2)
        return np.array(mean), np.array(std)

    def image_deviations(self) -> NDArray[np.float64]:
        """Mean over the images of each image's own standard deviation, in [0, 1], shape (3,).

        The deviation of an image is the square root of its unbiased variance over its pixels, for
        each channel. Zimmermann et al. normalise with it. Every image is read.
        """
        count, total = self.resolution**2, np.zeros(3)
        with progress("deviations of the images", len(self), "images") as advance:
            for row in range(len(self)):
                _, deviation = Channels.of(np.asarray(self.picture(row))).moments(count)
                total += deviation
                advance()
        mean: NDArray[np.float64] = total / len(self) * np.sqrt(count / max(1, count - 1))
        return mean

    def _channels(self) -> Channels:
        if self.rows is None and self.pack is not None:
            return self.pack.record.channels
        if self.rows is None and self.manifest is not None and self.resolution == self._files.edge:
            return self.manifest.channels
        pictures = (np.asarray(self.picture(row)) for row in range(len(self)))
        return sum((Channels.of(pixels) for pixels in pictures), Channels())


def _find_split(root: Path, split: str) -> SplitFolder:
    folders = [SplitFolder(root, name) for name in SPLITS]
    places = {str(f.path.relative_to(root)): f for f in folders}
    places |= {str(f.positives.path.relative_to(root)): f.positives for f in folders}
    if split not in places:
        raise ValueError(unknown("split", split, places))
    return places[split]


def as_images(dataset: object) -> ThreeDIdent:
    """A :class:`ThreeDIdent`, or a torch ``Subset`` of one, as a :class:`ThreeDIdent`.

    Raises:
        ValueError: the argument is neither. The message says what to pass.
    """
    if isinstance(dataset, ThreeDIdent):
        return dataset
    if isinstance(dataset, Subset):
        whole, rows = as_images(dataset.dataset), np.array(list(dataset.indices))
        if not rows.size:
            raise ValueError("dataset: expected rows in the Subset, found none; take some")
        return whole.take(np.where(rows < 0, rows + len(whole), rows))  # Subset allows negatives
    found, fix = type(dataset).__name__, "give a ThreeDIdent, or a Subset of one"
    if isinstance(dataset, str | Path):
        found, fix = f"the path {str(dataset)!r}", f"give ThreeDIdent({str(dataset)!r})"
    raise ValueError(f"dataset: expected a ThreeDIdent or a Subset of one, found {found}; {fix}")
