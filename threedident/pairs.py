"""Positive pairs by nearest-latent lookup.

Item k: an anchor row z, uniform over the data set, and a draw z~ ~ p(. | z), both functions of
(seed, k) alone; the positive is the rendered image whose latent lies nearest to z~, or the
second nearest where the nearest is the anchor itself.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import Dataset

from threedident.conditionals import Conditional
from threedident.counter import uniforms
from threedident.dataset import ThreeDIdent
from threedident.index import NearestLatents

_PAIR_STREAM = 1


class Pair(NamedTuple):
    """Two images and the raw latents behind each."""

    image: Any
    positive_image: Any
    latents: torch.Tensor
    positive_latents: torch.Tensor


class PositivePairs(Dataset[Pair]):
    """Positive pairs from rendered images.

    Arguments:
        dataset: images and latents.
        conditional: density p(z~ | z) of the latents' space.
        seed: with the item's number, all that an item depends on.
        length: number of pairs, by default one for each image. Item k does not depend on it.

    Raises:
        ValueError: the conditional does not fit the latents, or there are fewer than two images.

    Example:
        pairs = PositivePairs(ThreeDIdent("data/3dident"), Normal(0.1))
        image, positive_image, latents, positive_latents = pairs[0]
    """

    def __init__(
        self,
        dataset: ThreeDIdent,
        conditional: Conditional,
        *,
        seed: int = 0,
        length: int | None = None,
    ) -> None:
        if not isinstance(conditional, Conditional):
            raise ValueError(
                f"conditional: expected one such as Normal(0.1), found {conditional!r}"
            )
        if len(dataset) < 2:
            raise ValueError(f"dataset: expected at least 2 images to pair, found {len(dataset)}")
        seed = operator.index(seed)
        if seed < 0:
            raise ValueError(f"seed: expected a non-negative integer, found {seed}")
        if length is not None and length < 1:
            raise ValueError(f"length: expected at least 1 pair, found {length}")
        self.dataset, self.conditional, self.seed = dataset, conditional, seed
        self._length = len(dataset) if length is None else length
        self._count = conditional.count(dataset.latents.shape[1])
        conditional.transform(dataset.latents[:1], np.full((1, self._count), 0.5))
        self._index = NearestLatents(dataset.latents)

    def __len__(self) -> int:
        return self._length

    def rows(self, items: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The data set's rows that make up pairs, without reading an image.

        Arguments:
            items: numbers of pairs, shape (B,).

        Returns:
            Rows of the anchors and rows of the positives, each of shape (B,).
        """
        u = uniforms(self.seed, (_PAIR_STREAM,), items, 1 + self._count)
        latents = self.dataset.latents
        anchors = (u[:, 0] * len(latents)).astype(np.int64)
        drawn = self.conditional.transform(latents[anchors], u[:, 1:])
        nearest = self._index.search(drawn, k=2).indices
        return anchors, np.where(nearest[:, 0] == anchors, nearest[:, 1], nearest[:, 0])

    def __getitem__(self, item: int) -> Pair:
        return self.__getitems__([item])[0]

    def __getitems__(self, items: Sequence[int]) -> list[Pair]:
        """A whole batch: one vectorised draw and one search, however many items."""
        anchors, positives = self.rows(
            [range(self._length)[operator.index(item)] for item in items]
        )
        return [
            self._pair(a, p) for a, p in zip(anchors.tolist(), positives.tolist(), strict=True)
        ]

    def _pair(self, anchor: int, positive: int) -> Pair:
        image, latents = self.dataset[anchor]
        positive_image, positive_latents = self.dataset[positive]
        return Pair(image, positive_image, latents, positive_latents)
