"""A chunk: rows of a split that one worker renders, and the report on how that went."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from threedident.runtime.packages import call
from threedident.storage.folder import SplitFolder


@dataclass(frozen=True)
class Chunk:
    """Rows of a planned split that one worker renders.

    Arguments:
        split: the split's folder, absolute.
        indices: the rows, in order.
        threads: processor threads to render with.
    """

    split: Path
    indices: tuple[int, ...]
    threads: int

    def __reduce__(self) -> tuple[Any, ...]:
        return call, ("render.workers.chunk:Chunk", self.split, self.indices, self.threads)

    @property
    def name(self) -> str:
        """What its lease and its journals are called."""
        return f"chunk-{self.indices[0]:06d}"

    @property
    def folder(self) -> SplitFolder:
        """The files of its split."""
        return SplitFolder(self.split.parent, self.split.name)

    @property
    def leases(self) -> Path:
        """Where leases of the split's chunks lie."""
        return leases_of(self.folder)


def leases_of(folder: SplitFolder) -> Path:
    """Where leases of a split's chunks lie."""
    return folder.scratch / "leases"


@dataclass(frozen=True, kw_only=True)
class Report:
    """How a worker ended.

    Arguments:
        error: why no worker can go on, in one line; None where this does not concern others.
        death: how this worker alone came to its end, in one line; None where it did not.
        images: how many it drew.
        seconds: how long that took, without its start.
        first_peak_bytes: the most memory it held up to the end of its first image.
        peak_bytes: the most memory it held up to its end.
    """

    error: str | None = None
    death: str | None = None
    images: int = 0
    seconds: float = 0.0
    first_peak_bytes: int = 0
    peak_bytes: int = 0


REPORT = TypeAdapter(Report)


def spell_indices(indices: tuple[int, ...]) -> str:
    """Sorted indices as ranges: (0, 1, 2, 5) is ``0-2,5``."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def parse_indices(text: str) -> tuple[int, ...]:
    """The inverse of :func:`spell_indices`."""
    runs = [[int(end) for end in part.split("-")] for part in text.split(",")]
    return tuple(index for run in runs for index in range(run[0], run[-1] + 1))
