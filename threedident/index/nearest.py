"""Nearest rendered latents by Euclidean distance.

``exact`` compares a query with every point. ``hnsw`` and ``ivf`` are approximate, see
:mod:`threedident.index.families`. An approximate index is built once, kept on disk, and tuned to
a recall of 0.9995. Candidates of all kinds are ranked again in float64, because faiss ranks in
float32, where squared distances suffer from cancellation.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch.utils.data import get_worker_info

from threedident.index.families import (
    FAMILIES,
    VERSION,
    Comparison,
    compare,
    gpus,
    use_one_thread,
)
from threedident.index.neighbors import (
    Neighbors,
    Points,
    Rows,
    finite_rows,
    rank,
)
from threedident.index.projection import Projection
from threedident.index.tuning import RECALL, kinds_to_try, open_kept
from threedident.runtime.cards import Card

_BLOCK = 1 << 14  # queries at a time, to limit memory


class NearestLatents(Card):
    """An index over latents.

    A result depends only on the latents, the query and the kind. It does not depend on the other
    queries of a batch, on threads or on processes. The few neighbours that an approximate kind
    misses may differ between versions of faiss, and between processors that round sums
    differently.

    Arguments:
        latents: points, shape (N, d), finite.
        kind: ``exact``, ``hnsw``, ``ivf`` or ``auto``. ``auto`` takes ``exact`` on a GPU or for
            at most 10,000 points, else ``hnsw`` for at most five columns and ``ivf`` for more. It
            replaces ``hnsw`` by ``ivf`` if the recall of ``hnsw`` is below 0.999.
        device: ``cpu`` or ``cuda``.
        factors: names of the factors whose distance counts, such as ``["x", "y", "z"]``; by
            default all columns. Queries are rows of the same space, or only these columns.

    Attributes:
        kind: the kind in use, never ``auto``.
        recall: share of the two nearest points that a search finds, measured on held-out queries
            when the index was built, see :mod:`threedident.index.tuning`; 1 for ``exact``.

    Raises:
        ValueError: the latents are not a finite N x d array with N >= 1, there is no such kind,
            device or factor, the cached index is damaged, or faiss is not installed.
    """

    def __init__(
        self,
        latents: ArrayLike,
        kind: str = "auto",
        device: str = "cpu",
        factors: Sequence[str] | None = None,
    ) -> None:
        rows = finite_rows(latents, "latents")
        if len(rows) == 0:
            raise ValueError("latents: expected at least one row to index, found none")
        self._projection = Projection(rows.shape[1], factors)
        self._points = self._projection.points(rows, "latents")
        self._points.setflags(write=False)
        self._low, self._high = self._points.min(axis=0), self._points.max(axis=0)
        self.device = device
        for name in kinds_to_try(kind, device, gpus(), self._points.shape):
            self.kind = name
            self._index: Any = self._open()
            if self.recall >= RECALL:
                break

    @property
    def factors(self) -> tuple[str, ...] | None:
        """The factors whose distance counts; None for all columns."""
        return self._projection.factors

    @property
    def dimension(self) -> int:
        """Number of columns of the latents."""
        return self._projection.columns

    def __len__(self) -> int:
        return len(self._points)

    def is_over(self, latents: ArrayLike) -> bool:
        """True if these latents, shape (N, d), are the indexed ones."""
        rows = finite_rows(latents, "latents")
        return np.array_equal(self._projection.points(rows, "latents"), self._points)

    def search(self, queries: ArrayLike, k: int = 1) -> Neighbors:
        """The ``k`` nearest latents of every query. Among equally near ones, lower rows win.

        Arguments:
            queries: points, shape (Q, d), finite.
            k: neighbours per query, at most the number of latents.

        Returns:
            Distances and rows as arrays, or as tensors on the device of ``queries`` if that is a
            tensor.

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

    def card(self) -> dict[str, str]:
        """See :class:`threedident.runtime.cards.Card`."""
        factors = "all columns" if self.factors is None else ", ".join(self.factors)
        return {
            "latents": f"{len(self)} rows of {self.dimension} columns",
            "kind": f"{self.kind} on {self.device}",
            "distance over": factors,
            "recall": f"{self.recall:.4f}",
        }

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_index": None}  # a copy opens the index again

    def _candidates(self, wanted: Points, k: int) -> Rows:
        """Rows that include the nearest, shape (Q, k or more); -1 fills empty places."""
        if get_worker_info() is not None:
            use_one_thread()
        if self._index is None:
            self._index = self._open()
        found: Rows = self._index.candidates(wanted, k)
        if self.kind == "exact":
            return found
        outside = (wanted - np.clip(wanted, self._low, self._high)).astype(np.float64)
        astray = np.linalg.norm(outside, axis=1) > (self._high - self._low).max() / 4
        astray |= (found < 0).sum(axis=1) > found.shape[1] - k  # cells may hold fewer than k
        if astray.any():
            nearest = compare(self._points)(wanted[astray], k)
            found[astray] = -1
            found[astray, : nearest.shape[1]] = nearest
        return found

    def _open(self) -> Any:
        if self.kind == "exact":
            self.recall = 1.0
            return Comparison(self._points, self.device)
        families = FAMILIES[self.kind, self.device]
        index, self.recall = open_kept(families, self._points, compare, VERSION)
        return index
