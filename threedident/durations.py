"""Durations in words, in one format everywhere."""

from __future__ import annotations


def spell_time(seconds: float) -> str:
    """A duration for people: ``45 s``, ``12 min 5 s``, ``3 h 20 min`` or ``2 days 4 h``.

    Arguments:
        seconds: not negative, finite.
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return _joined(f"{minutes} min", rest, "s")
    hours, rest = divmod(round(whole / 60), 60)
    if hours < 24:
        return _joined(f"{hours} h", rest, "min")
    days, rest = divmod(round(whole / 3600), 24)
    return _joined(f"{days} day{'s' * (days > 1)}", rest, "h")


def _joined(whole: str, rest: int, unit: str) -> str:
    return f"{whole} {rest} {unit}" if rest else whole
