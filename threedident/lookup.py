"""Rows in, neighbours out: what looking latents up is like, however candidates are found."""

from __future__ import annotations

import operator
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from threedident.neighbors import Neighbors, Points, Rows, finite_rows, rank
from threedident.projection import Projection
from threedident.runtime.cards import Card

_BLOCK = 1 << 14  # queries at once, which bounds the memory


class Lookup(Card):
    """Latents to be searched; see :class:`threedident.index.NearestLatents`."""

    def __init__(self, latents: ArrayLike, factors: Sequence[str] | None) -> None:
        rows = finite_rows(latents, "latents")
        if len(rows) == 0:
            raise ValueError("latents: expected at least one row to index, found none")
        self._projection = Projection(rows.shape[1], factors)
        self._points = self._projection.points(rows, "latents")
        self._points.setflags(write=False)

    @property
    def factors(self) -> tuple[str, ...] | None:
        """The factors whose distance counts; None for all columns."""
        return self._projection.factors

    @property
    def dimension(self) -> int:
        """Columns of a row of latents."""
        return self._projection.columns

    def __len__(self) -> int:
        return len(self._points)

    def is_over(self, latents: ArrayLike) -> bool:
        """Whether these latents, shape (N, d), are those that were indexed."""
        rows = finite_rows(latents, "latents")
        return np.array_equal(self._projection.points(rows, "latents"), self._points)

    def search(self, queries: ArrayLike, k: int = 1) -> Neighbors:
        """The ``k`` nearest latents of every query; of equally near ones, the lower rows.

        Arguments:
            queries: points, shape (Q, d), finite.
            k: neighbours per query, at most the number of latents.

        Returns:
            Arrays, or tensors on the queries' device where those are a tensor.

        Raises:
            ValueError: the queries have another dimension or are not finite, or k is too large.
        """
        wanted = self._projection.points(finite_rows(queries, "queries"), "queries")
        k = operator.index(k)
        if not 1 <= k <= len(self):
            raise ValueError(f"k: expected 1 to {len(self)} neighbours, found {k}; lower k")
        blocks = [wanted[i : i + _BLOCK] for i in range(0, max(len(wanted), 1), _BLOCK)]
        found = [rank(self._points, some, self._candidates(some, k), k) for some in blocks]
        neighbors = Neighbors(*map(np.concatenate, zip(*found, strict=True)))
        if not isinstance(queries, torch.Tensor):
            return neighbors
        return Neighbors(*(torch.from_numpy(field).to(queries.device) for field in neighbors))

    @abstractmethod
    def _candidates(self, wanted: Points, k: int) -> Rows:
        """Rows among which are the nearest, and -1 for none, shape (Q, k or more)."""
