"""Kinds of index: which there are, which to take, and how one is built, tuned and kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from threedident.index_cache import Built, Setting, Source, load, store
from threedident.neighbors import Points, Rows
from threedident.recall import Exact, cheapest, trials
from threedident.runtime.errors import unknown
from threedident.runtime.progress import say

KINDS = ("auto", "exact", "hnsw", "ivf")
DEVICES = ("cpu", "cuda")
RECALL = 0.999  # with less, the next kind is taken

_TARGET = 0.9995  # of the tuning, so that RECALL holds for other queries
_FEW = 10_000  # points that are compared with every query sooner than an index is built
_FLAT = 5  # columns up to which a graph is faster than codes
_MANY = 50_000  # points that take long enough to build over to say so


class Family(ABC):
    """A kind of approximate index, opened.

    Arguments:
        content: what :meth:`build` gave.

    Attributes:
        name: what the cache calls it; changes when :meth:`build` does.
        setting: how far a search looks.
    """

    name: ClassVar[str]
    setting: Setting

    @abstractmethod
    def __init__(self, content: bytes | memoryview) -> None: ...

    @staticmethod
    @abstractmethod
    def build(points: Points) -> Any:
        """The bytes, as an array, of an index over points, shape (N, d); the same each time."""

    @abstractmethod
    def ladders(self, queries: Points) -> Sequence[Sequence[Setting]]:
        """Settings to try on ``queries``, see :func:`threedident.recall.cheapest`."""

    @abstractmethod
    def candidates(self, queries: Points, k: int) -> Rows:
        """Rows that may be the ``k`` nearest, and -1 for none, shape (Q, k or more)."""


def kinds_to_try(kind: str, device: str, gpus: int, shape: tuple[int, ...]) -> tuple[str, ...]:
    """The kinds to take, each where those before it find too little.

    Arguments:
        kind: as :class:`threedident.index.NearestLatents` takes it.
        device: the same.
        gpus: how many there are for faiss.
        shape: number of points and columns.

    Raises:
        ValueError: there is no such kind or device, or not here.
    """
    for name, value, known in (("kind", kind, KINDS), ("device", device, DEVICES)):
        if value not in known:
            raise ValueError(unknown(name, value, known))
    if device == "cuda" and not gpus:
        raise ValueError("device: expected cpu here, found cuda, but faiss sees no GPU; take cpu")
    if device == "cuda" and kind == "hnsw":
        raise ValueError(
            "kind: expected exact or ivf on a GPU, found hnsw, which faiss has for CPUs alone"
        )
    if kind != "auto":
        return (kind,)
    rows, columns = shape
    if device == "cuda" or rows <= _FEW:
        return ("exact",)
    return ("hnsw", "ivf") if columns <= _FLAT else ("ivf",)


def open_kept(
    families: Sequence[type[Family]], points: Points, exact: Exact, version: str
) -> tuple[Family, float]:
    """An index from the cache, or built and put there.

    Arguments:
        families: kinds of index, each to be taken where those before it find too little.
        points: what to search, shape (N, d).
        exact: as :func:`threedident.recall.trials` takes it.
        version: of the library that builds it.

    Returns:
        The index, and its recall on queries that it was not tuned by.

    Raises:
        ValueError: what the cache holds is damaged.
    """
    for family in families:
        built = _kept_or_built(family, points, exact, version)
        if built.recall >= RECALL:
            break
    index = family(built.content)
    index.setting = built.setting
    return index, built.recall


def _kept_or_built(family: type[Family], points: Points, exact: Exact, version: str) -> Built:
    source = Source.of(points, family.name, version)
    built = load(source)
    if built is None:
        built = _build(family, points, exact)
        store(source, built)
    return built


def _build(family: type[Family], points: Points, exact: Exact) -> Built:
    if len(points) >= _MANY:
        say(f"index: building {family.name} over {len(points):,} latents, once")
    content = family.build(points).tobytes()
    index, (tuning, held_out) = family(content), trials(points, exact)

    def recall(setting: Setting) -> float:
        index.setting = setting
        return tuning.recall(index.candidates)

    index.setting = cheapest(index.ladders(tuning.queries), recall, _TARGET)
    return Built(content, index.setting, held_out.recall(index.candidates))
