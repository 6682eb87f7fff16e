"""Closed lists of names: one message for what is not in the list, with the nearest name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_NEAR = 0.6  # share of common letters; difflib's own default


def nearest(found: object, known: Iterable[str]) -> str | None:
    """The known name that looks most like ``found``, ignoring case; None where none does."""
    names = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(str(found).casefold(), names, n=1, cutoff=_NEAR)
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
    line = f"{what}: expected one of {', '.join(names)}, found {found!r}"
    return f"{line}; {end}" if end else line
