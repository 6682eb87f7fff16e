"""A chunk, which is the rows of a split that one worker renders, and the worker's report."""

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
        split: absolute path of the split's folder.
        indices: the rows, in increasing order.
        threads: processor threads to render with.
    """

    split: Path
    indices: tuple[int, ...]
    threads: int

    def __reduce__(self) -> tuple[Any, ...]:
        return call, ("render.workers.chunk:Chunk", self.split, self.indices, self.threads)

    @property
    def name(self) -> str:
        """Name of its lease and its journals."""
        return f"chunk-{self.indices[0]:06d}"

    @property
    def folder(self) -> SplitFolder:
        """The files of its split."""
        return SplitFolder(self.split.parent, self.split.name)

    @property
    def leases(self) -> Path:
        """Folder of the leases of the split's chunks."""
        return leases_of(self.folder)


def leases_of(folder: SplitFolder) -> Path:
    """Folder of the leases of a split's chunks."""
    return folder.scratch / "leases"


@dataclass(frozen=True, kw_only=True)
class Report:
    """Result of a worker.

    Arguments:
        error: one line about a failure that stops every worker, or None.
        death: one line about a failure of this worker only, or None.
        images: number of images rendered.
        seconds: time for rendering them, without the start of the worker.
        first_peak_bytes: peak memory up to the end of the first image, in bytes.
        peak_bytes: peak memory up to the end of the worker, in bytes.
    """

    error: str | None = None
    death: str | None = None
    images: int = 0
    seconds: float = 0.0
    first_peak_bytes: int = 0
    peak_bytes: int = 0


REPORT = TypeAdapter(Report)


def spell_indices(indices: tuple[int, ...]) -> str:
    """Sorted indices as text of ranges, such as ``0-2,5`` for (0, 1, 2, 5)."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def parse_indices(text: str) -> tuple[int, ...]:
    """The indices in a text of ranges; inverse of :func:`spell_indices`."""
    runs = [[int(end) for end in part.split("-")] for part in text.split(",")]
    return tuple(index for run in runs for index in range(run[0], run[-1] + 1))
