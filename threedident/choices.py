"""Closed lists of names: one message for what is not in the list, with the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from threedident.quoting import printable

_NEAR = 0.6  # share of common letters; difflib's own default
_NEAR_OF_TWO = 0.5  # one of two letters, as in r1 and r2
_NEAR_BEGINNING = 0.75
_SHOWN = 100  # characters of a name that is not in the list
_SHORTEST = 3  # letters of a beginning that tell names apart


def nearest(found: object, known: Iterable[str]) -> str | None:
    """The known name that looks most like ``found``, ignoring case; None where none does.

    Where no whole name does, the first one whose beginning looks most like it.
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
    """One line on a name that is not in a closed list.

    Arguments:
        what: the option, argument or kind of thing that was named.
        found: the name given.
        known: the names that there are.
        advice: what to do where no known name is near, such as ``name one of these``.

    Returns:
        ``what: expected one of a, b, found 'c'; did you mean 'a'?``
    """
    names = list(known)
    near = nearest(found, names)
    end = f"did you mean {near!r}?" if near is not None else advice
    shown = printable(repr(found), _SHOWN)
    line = f"{what}: expected one of {', '.join(names)}, found {shown}"
    return f"{line}; {end}" if end else line
