"""Large synthetic data sets to measure the data engine, with meaningless pixels."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from threedident.conditionals.conditional import Conditional
from threedident.dataset.pack import PackFiles, PackRecord
from threedident.index.nearest import NearestLatents
from threedident.latents.sampling import sample_raw, to_physical
from threedident.runtime.files import npy_bytes, sha256, write_bytes
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import Digests, Manifest, Rendering, factor_records
from threedident.storage.origin import Origin
from threedident.storage.statistics import Channels

_DISTINCT = 1000  # number of different noise images; all others are links to them
_UNREAD = "0" * 64  # stands for digests that are never read


def noise_images(root: Path, rows: int, edge: int) -> None:
    """Write a train split in the published layout, with noise images of ``edge`` pixels."""
    folder = SplitFolder(root, "train")
    folder.images.mkdir(parents=True)
    raw = sample_raw(0, "train", rows)
    rng = np.random.default_rng(0)
    for row in range(rows):
        path = folder.image(row)
        if row < _DISTINCT:
            Image.fromarray(rng.integers(0, 256, (edge, edge, 3), np.uint8)).save(path)
        else:
            os.link(folder.image(row % _DISTINCT), path)
    write_bytes(folder.latents, npy_bytes(to_physical(raw)))
    write_bytes(folder.raw_latents, npy_bytes(raw))


def sparse_pairs(root: Path, rows: int, edge: int, conditional: str) -> None:
    """Write a train split with exact positives, both packed in sparse files of black images."""
    anchors = Origin(split="train", seed=0)
    folder = SplitFolder(root, "train")
    _sparse_split(folder, anchors, rows, edge)
    positives = anchors.model_copy(update={"conditional": conditional})
    _sparse_split(folder.positives, positives, rows, edge)


def _sparse_split(folder: SplitFolder, origin: Origin, rows: int, edge: int) -> None:
    folder.packed.mkdir(parents=True)
    raw = origin.draw(rows)
    content = npy_bytes(raw)
    write_bytes(folder.raw_latents, content)
    manifest = Manifest(
        split=folder.split,
        n=rows,
        factors=factor_records(origin.space),
        origin=origin,
        rendering=Rendering(
            resolution=edge,
            quality="none",
            hue_mode="wrapped",
            device="none",
            blender="none",
            fingerprint="synthetic",
        ),
        channel_mean=(0.0, 0.0, 0.0),
        channel_std=(0.0, 0.0, 0.0),
        channels=Channels(),
        digests=Digests(raw_latents=sha256(content), latents=_UNREAD, sums=_UNREAD, sizes=_UNREAD),
    )
    write_bytes(folder.manifest, manifest.to_bytes())
    files = PackFiles(folder, edge)
    shape = (rows, edge, edge, 3)
    open_memmap: Any = np.lib.format.open_memmap  # numpy 1 has no types for it
    open_memmap(files.pixels, "w+", np.uint8, shape)
    record = PackRecord(
        resolution=edge, n=rows, images=_UNREAD, channels=Channels(), pixels=_UNREAD
    )
    write_bytes(files.record, record.to_bytes())


class OneAtATime(Dataset[tuple[Tensor, Tensor]]):
    """Pairs that are made one at a time, as a slow reference.

    Each item needs one draw, two searches with one query each, and two PNG files.

    Arguments:
        folder: split of image files.
        index: exact index over the latents of the split, which lie in the box.
        conditional: conditional density p(z~ | z).
        length: number of items.
    """

    def __init__(
        self, folder: SplitFolder, index: NearestLatents, conditional: Conditional, length: int
    ) -> None:
        self._folder, self._index, self._conditional = folder, index, conditional
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((0, item))
        z = rng.uniform(-1.0, 1.0, (1, self._index.dimension))
        positive = self._conditional.sample(z, rng)
        anchor_row = self._index.search(z).indices[0, 0]
        nearest, second = self._index.search(positive, k=2).indices[0]
        return self._read(anchor_row), self._read(second if nearest == anchor_row else nearest)

    def _read(self, row: int) -> Tensor:
        with Image.open(self._folder.image(row)) as picture:
            return torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
