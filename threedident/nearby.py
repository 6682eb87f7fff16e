"""The file or folder that a mistyped path most likely means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from threedident.choices import nearest

DATA = Path("data")  # where commands look for data sets by default
RUNS = Path("runs")

Fits = Callable[[Path], bool]


def nearest_path(path: Path, fits: Fits, usual: Path | None = None) -> Path | None:
    """What looks most like a path that does not exist; None where nothing does.

    Arguments:
        path: each part of which may be mistyped.
        fits: whether a file or folder is of the kind that was meant.
        usual: folder in which such things lie, looked into after that of the path.
    """
    for folder in (_follow(path.parent), usual):
        if folder is not None:
            near = nearest(path.name, (p.name for p in _entries(folder) if _holds(fits, p)))
            if near is not None:
                return folder / near
    return None


def advise(path: Path, fits: Fits, otherwise: str, usual: Path | None = None) -> str:
    """What to do about a path that is not of the kind that was meant.

    Arguments:
        path: that was given.
        fits: as :func:`nearest_path` takes it.
        otherwise: the advice where something is there, or nothing looks like it.
        usual: as :func:`nearest_path` takes it.
    """
    near = None if path.exists() else nearest_path(path, fits, usual)
    return otherwise if near is None else f"did you mean {near}?"


def _follow(path: Path) -> Path | None:
    """The folder at a path whose parts may each be mistyped."""
    here = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts:
        if not (here / part).is_dir():
            near = nearest(part, (p.name for p in _entries(here) if p.is_dir()))
            if near is None:
                return None
            part = near
        here /= part
    return here


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _holds(fits: Fits, path: Path) -> bool:
    try:
        return fits(path)
    except OSError:  # what may not be read is not suggested
        return False
