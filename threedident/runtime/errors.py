"""Error messages of one line: what was expected, what was found, and what to do."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

_WORDS = {
    errno.ENOSPC: "expected room on the disk, found it full; free some space",
    errno.EDQUOT: "expected room in the quota, found it used up; free some space",
    errno.EEXIST: "expected a folder there, found a file; give another path",
    errno.ENOENT: "expected a file or folder there, found nothing; check the path",
    errno.ENOTDIR: "expected folders along the path, found a file; give another path",
    errno.EISDIR: "expected a file there, found a folder; move it away",
    errno.EACCES: "expected permission to read and write there, found none; grant it",
    errno.EPERM: "expected permission to read and write there, found none; grant it",
    errno.EROFS: "expected a writable file system, found a read-only one; give another path",
}
_MOST = 300
_NEAR = 0.6  # share of common letters; the default of difflib
_NEAR_OF_TWO = 0.5  # for names of two letters: one letter agrees, as in r1 and r2
_NEAR_BEGINNING = 0.75
_SHOWN = 100  # characters of a name that is not in the list
_SHORTEST = 3  # least letters for a comparison with the beginnings of names
DATA = Path("data")  # where commands look for data sets by default
RUNS = Path("runs")
Fits = Callable[[Path], bool]


class Interrupted(Exception):  # noqa: N818
    """The user stopped long work; the message says what was kept and how to continue."""


def found_folder(path: Path) -> str:
    """Error line for a folder that stands where a file is expected."""
    return f"{path}: {_WORDS[errno.EISDIR]}"


def explain(error: OSError) -> str:
    """Error line for a file that could not be read or written, with what to do."""
    place = printable(str(error.filename2 or error.filename or "the data set"))
    other = f"expected a file or folder there, found {error.strerror or error}; check the path"
    return f"{place}: {_WORDS.get(error.errno or 0, other)}"


def printable(text: str, most: int = _MOST) -> str:
    """A text as one line without control characters, which a terminal would act on.

    Arguments:
        text: any text.
        most: maximum number of characters. A longer text loses its middle and keeps both ends.
    """
    kept = "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
    if len(kept) <= most:
        return kept
    half = most // 2
    return f"{kept[:half]} ... {kept[-half:]}"


def nearest(found: object, known: Iterable[str]) -> str | None:
    """The known name most similar to ``found``, ignoring case, or None if none is similar.

    If no whole name is similar, the beginnings of the names are compared with ``found``.
    """
    name = str(found).casefold()
    names = {each.casefold(): each for each in known}
    beginnings = {each[: len(name)]: names[each] for each in reversed(names)}
    cutoff = _NEAR_OF_TWO if len(name) == 2 else _NEAR
    close = _closest(name, names, cutoff)
    if close is None and len(name) >= _SHORTEST:
        close = _closest(name, beginnings, _NEAR_BEGINNING)
    return close


def _closest(name: str, names: Mapping[str, str], cutoff: float) -> str | None:
    close = difflib.get_close_matches(name, names, n=1, cutoff=cutoff)
    return names[close[0]] if close else None


def unknown(what: str, found: object, known: Iterable[str], advice: str = "") -> str:
    """Error line for a name that is not in a closed list.

    Arguments:
        what: the option, argument or kind of thing that was named.
        found: the name given.
        known: all valid names.
        advice: what to do if no valid name is similar, such as ``name one of these``.

    Returns:
        ``what: expected one of a, b, found 'c'; did you mean 'a'?``
    """
    names = list(known)
    near = nearest(found, names)
    end = f"did you mean {near!r}?" if near is not None else advice
    shown = printable(repr(found), _SHOWN)
    line = f"{what}: expected one of {', '.join(names)}, found {shown}"
    return f"{line}; {end}" if end else line


def nearest_path(path: Path, fits: Fits, usual: Path | None = None) -> Path | None:
    """The existing path most similar to one that does not exist, or None.

    Arguments:
        path: a path with possible typing errors in each of its parts.
        fits: returns True for a file or folder of the expected kind.
        usual: default folder of such paths, searched after the folder of ``path``.
    """
    for folder in (_follow(path.parent), usual):
        if folder is not None:
            near = nearest(path.name, (p.name for p in _entries(folder) if _holds(fits, p)))
            if near is not None:
                return folder / near
    return None


def advise(path: Path, fits: Fits, otherwise: str, usual: Path | None = None) -> str:
    """Advice for a path that is missing or not of the expected kind.

    Arguments:
        path: the path given.
        fits: see :func:`nearest_path`.
        otherwise: the advice if the path exists, or if no similar path exists.
        usual: see :func:`nearest_path`.
    """
    near = None if path.exists() else nearest_path(path, fits, usual)
    return otherwise if near is None else f"did you mean {near}?"


def _follow(path: Path) -> Path | None:
    """The existing folder closest to a path whose parts may be mistyped, or None."""
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
    except OSError:  # an unreadable path is not suggested
        return False
