"""How long a run will take, said once it is known, and what to choose where that is too long."""

from __future__ import annotations

import time
from collections.abc import Callable

from threedident.runtime.progress import spell_time

_AFTER = 20
_LONG_S = 12 * 3600.0


class Forecast:
    """Times the first steps.

    Arguments:
        steps: that are left, of this seed.
        later: steps of the seeds that come after it.
        slow: whether the device is a CPU, for which the paper's scale is too much.
        small: what to choose instead, in words.
    """

    def __init__(self, steps: int, later: int, slow: bool, small: str) -> None:
        self._steps, self._later, self._slow, self._small = steps, later, slow, small
        self._taken, self._start = 0, time.perf_counter()

    def step(self, say: Callable[[str], None]) -> None:
        """Count a step; after the twentieth, say how long the rest will take.

        The first step is not timed: compilers and caches work in it.
        """
        self._taken += 1
        if self._taken == 1:
            self._start = time.perf_counter()
        if self._taken != _AFTER + 1 or self._steps <= self._taken:
            return
        each = (time.perf_counter() - self._start) / _AFTER
        left = each * (self._steps - self._taken + self._later)
        others = ", and those of the other seeds" if self._later else ""
        say(
            f"{each:.3g} s a step: about {spell_time(left)} for the "
            f"{self._steps - self._taken} steps left{others}"
        )
        if self._slow and left > _LONG_S:
            say(f"that is long for a CPU; choose {self._small}")
