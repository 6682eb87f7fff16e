"""The data set that a mistyped path most likely means."""

from __future__ import annotations

from pathlib import Path

from threedident.choices import nearest
from threedident.latents import SPLITS

_USUAL = Path("data")  # where commands look for data sets by default


def nearest_data(path: Path) -> Path | None:
    """The data set whose path looks most like one that does not exist; None where none does."""
    found = _follow(path) or _follow(_USUAL / path.name)
    return found if found is not None and any((found / s).is_dir() for s in SPLITS) else None


def _follow(path: Path) -> Path | None:
    """The folder at a path whose parts may each be mistyped."""
    here = Path(path.anchor)
    for part in path.relative_to(path.anchor).parts:
        if not (here / part).is_dir():
            near = nearest(part, _folders(here))
            if near is None:
                return None
            part = near
        here /= part
    return here


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    except OSError:
        return []
