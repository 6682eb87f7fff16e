"""Positive pairs one by one, as published code makes them: what the data engine is measured by."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from threedident.conditionals.steps import Conditional
from threedident.index.nearest import NearestLatents
from threedident.storage.folder import SplitFolder


class OneAtATime(Dataset[tuple[Tensor, Tensor]]):
    """For each item one draw, two searches of one query each, and two PNG files.

    Arguments:
        folder: a split of image files.
        index: exact, over the latents of the split, which lie in the box.
        conditional: density p(z~ | z).
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
