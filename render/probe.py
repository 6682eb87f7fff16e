"""Asks a worker what Cycles can compute on here, since only workers load Blender."""

from __future__ import annotations

import json
import os
import subprocess
from functools import partial

from render.chunk import worker_command
from threedident.machine import die_with


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
    message = json.loads(lines[-1]) if lines else {}
    if "devices" not in message:
        said = message.get("error") or " ".join(asked.stderr.split())[-200:]
        raise ValueError(f"--device: expected Blender to list its devices, found {said}")
    found: dict[str, int] = message["devices"]
    return found
