"""Asks a worker what Cycles can compute on here, since only workers load Blender."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import partial

from pydantic import TypeAdapter, ValidationError

from render.chunk import worker_command
from threedident.runtime.errors import printable
from threedident.runtime.machine import die_with

_SAID = 200


@dataclass(frozen=True)
class _Message:
    devices: dict[str, int] | None = None
    error: str | None = None


_MESSAGE = TypeAdapter(_Message)


def devices() -> dict[str, int]:
    """How many devices of each kind there are, best first, ``cpu`` last.

    Raises:
        ValueError: Blender cannot be loaded.
    """
    asked = subprocess.run(
        [*worker_command(), "devices"],
        capture_output=True,
        text=True,
        preexec_fn=partial(die_with, os.getpid()),
    )
    lines = asked.stdout.strip().splitlines()
    try:
        message = _MESSAGE.validate_json(lines[-1] if lines else "{}")
    except ValidationError:
        message = _Message()
    if message.devices is None:
        said = message.error or printable(asked.stderr[-_SAID:], _SAID)
        raise ValueError(f"--device: expected Blender to list its devices, found {said}")
    return message.devices
