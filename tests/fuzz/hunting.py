"""Hunts: a reader, a specimen, and many ways to damage it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.fuzz.damage.edits import Damage
from tests.fuzz.watching import SECONDS, watched
from threedident.runtime.errors import explain

MOST_LETTERS = 700
_EXPECTED = re.compile(r".+: .*\bexpected\b.*(\bfound\b|, but at ).*", re.DOTALL)
_MOST_AT_ONCE = 2000

Judge = Callable[[Any, Any], None]


@dataclass
class Tally:
    """What a hunt came to.

    Arguments:
        examples: how many were read.
        refused: how many of them were refused.
        seconds: that it took.
    """

    examples: int = 0
    refused: int = 0
    seconds: float = 0.0


TALLIES: dict[str, Tally] = {}
hunts_to_come: list[int] = []  # of this session, among which the time is divided


class Refused(Exception):  # noqa: N818
    """A reader's way to say that it reported the damage; its text is a line like any other."""


def same(found: Any, sound: Any) -> None:
    """Judge content under a digest: what is accepted is what was written."""
    assert frozen(found) == frozen(sound), "altered content was accepted"


def anything(_found: Any, _sound: Any) -> None:
    """Judge content that no digest vouches for, and that the reader itself has checked."""


def frozen(value: Any) -> Any:
    """A value that compares, arrays and tensors by their types, shapes and bytes."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    if isinstance(value, dict):
        return {name: frozen(each) for name, each in value.items()}
    return value


def hunt(
    name: str,
    file: Path,
    damages: st.SearchStrategy[Damage],
    read: Callable[[], Any],
    judge: Judge = same,
    *,
    place: Path | None = None,
    examples: int = 60,
    allowed: frozenset[str] = frozenset(),
    seconds: float = SECONDS,
) -> None:
    """Damage one file again and again, and read.

    Arguments:
        name: of the reader, for the counts.
        file: that is damaged, and sound again afterwards.
        damages: what may befall it.
        read: reads the specimen; raises Refused where it reports the damage in another way.
        judge: of what was read, and of what the sound specimen gives.
        place: folder in which nothing may change; by default that of the file.
        examples: how many in the suite.
        allowed: as :func:`tests.fuzz.watching.watched` takes it.
        seconds: within which the reader must return.
    """
    content, sound = file.read_bytes(), read()
    folder = file.parent if place is None else place
    before = _listed(folder)

    def example(damage: Damage) -> None:
        try:
            changed = damage.apply(file, content)
            try:
                with watched(allowed, seconds):
                    found = read()
            except (ValueError, OSError, Refused) as error:
                check_refusal(error)
                assert changed, "a sound file was refused"
                return True
            judge(found, sound)
            return False
        finally:
            Damage.undo(file, content)

    def whole(damage: Damage) -> bool:
        refused = example(damage)
        assert _listed(folder) == before, "the folder is not as it was"
        return refused

    repeat(name, damages, whole, examples)


def repeat(
    name: str, inputs: st.SearchStrategy[Any], example: Callable[[Any], bool], examples: int
) -> None:
    """Try inputs until there were enough of them.

    Arguments:
        name: of the reader.
        inputs: what is tried.
        example: tries one; whether it was refused.
        examples: how many in the suite.
    """
    tally = TALLIES.setdefault(name, Tally())
    start, whole = time.monotonic(), _time_for_each()

    def once(given_input: Any) -> None:
        tally.examples += 1
        tally.refused += example(given_input)

    number, count = int(os.environ.get("FUZZ_SEED", "0")), examples
    while count:
        begun = time.monotonic()
        _examples(given(inputs)(once), count, number)
        now = time.monotonic()
        number += 1_000_003
        left = max(0.0, start + whole - now)
        count = min(_MOST_AT_ONCE, int(count * left / (now - begun)))
    tally.seconds += time.monotonic() - start


def _examples(once: Callable[[], None], count: int, number: int) -> None:
    wanted = settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate,),  # three edits at most need no shrinking
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    seed(number)(wanted(once))()


def _time_for_each() -> float:
    """Seconds for each hunt beyond the examples of the suite."""
    return float(os.environ.get("FUZZ_SECONDS", "0")) / max(1, len(hunts_to_come))


def check_refusal(error: Exception) -> None:
    """A refusal names the thing, says what was expected and found, and takes one bounded line."""
    if isinstance(error, OSError):
        text = explain(error)
        assert error.filename is not None, f"no name in {error!r}"
    else:
        assert type(error) in (ValueError, Refused), f"{type(error).__name__}: {error}"[:2000]
        text = str(error)
        assert isinstance(error, Refused) or _EXPECTED.fullmatch(text), text[:2000]
    assert len(text) <= MOST_LETTERS, f"{len(text)} letters: {text[:2000]!r}"
    assert text.isprintable(), f"not printable: {text!r}"


def _listed(folder: Path) -> list[tuple[str, int]]:
    """All files below a folder, by name, and their sizes."""
    found = []
    for where, folders, files in os.walk(folder):
        found += [(f"{where}/{name}", -1) for name in folders]
        found += [(f"{where}/{name}", os.lstat(f"{where}/{name}").st_size) for name in files]
    return sorted(found)
