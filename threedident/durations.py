"""Durations in words, in one format everywhere."""

from __future__ import annotations


def spell_time(seconds: float) -> str:
    """A duration for people: ``0.2 s``, ``45 s``, ``12 min``, ``2 h 5 min`` or ``3 days 4 h``.

    Arguments:
        seconds: not negative, finite.
    """
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 or not seconds else f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    days, hours = minutes // 1440, minutes // 60
    if days >= 2:
        return f"{days} days {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
