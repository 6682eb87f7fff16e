"""Codes of a stranger's encoder, from a process of its own that can do nothing else."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from threedident.runtime.errors import printable
from threedident.runtime.files import spell_bytes
from threedident.runtime.packages import module_command, require_extra

_STARTUP_SECONDS = 60
PROTECTIONS = {
    "network": "an empty network of its own",
    "files": "a root of all paths that holds no file",
    "rights": "a user who is not root",
    "calls": "a short list of allowed calls to the system",
}
_NOWHERE = "/dev/null"  # below which nobody can make anything, not even root
_ENVIRONMENT = {
    "HOME": _NOWHERE,
    "XDG_CACHE_HOME": _NOWHERE,
    "OPENBLAS_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
}


@dataclass(frozen=True)
class Limits:
    """What an encoder may take.

    Arguments:
        seconds: wall time, over all that it is asked for at once.
        memory: bytes, beside those that the process has before it is read.
    """

    seconds: int = 600
    memory: int = 4 * 2**30


@dataclass(frozen=True)
class Pass:
    """One way through all images.

    Arguments:
        batch: images at once.
        order: of the rows; None for their own.
    """

    batch: int
    order: Sequence[int] | None = None


def execute(
    model: bytes,
    images: NDArray[np.uint8],
    codes: int,
    passes: Sequence[Pass],
    name: str,
    limits: Limits = Limits(),
) -> list[NDArray[np.float32]]:
    """Codes of every pass, in the order of the images, each of shape (N, codes).

    Arguments:
        model: content of an ONNX file.
        images: shape (N, H, H, 3).
        codes: how many it must give for an image.
        passes: ways through the images.
        name: what messages call the model.
        limits: of time and memory.

    Raises:
        ValueError: it is not fit to be run, fails, or passes a limit.
    """
    require_extra("leaderboard", "leaderboard", "onnx", "onnxruntime")
    request = {
        "model_bytes": len(model),
        "images": len(images),
        "resolution": images.shape[1],
        "codes": codes,
        "passes": [
            {"batch": p.batch, "order": None if p.order is None else list(p.order)} for p in passes
        ],
        "memory": limits.memory,
        "seconds": limits.seconds,
    }
    content = b"".join((json.dumps(request).encode(), b"\n", model, images.tobytes()))
    reason, _, body = _answer(content, name, limits).partition(b"\n")
    if reason:
        raise ValueError(f"{name}: {printable(reason.decode(errors='replace'))}")
    shape = (len(passes), len(images), codes)
    if len(body) != np.dtype(np.float32).itemsize * math.prod(shape):
        raise ValueError(
            f"{name}: expected {codes} codes of {len(images)} images, {len(passes)} times, found "
            f"{len(body)} bytes"
        )
    return list(np.frombuffer(body, np.float32).reshape(shape))


def shared_weights(one: bytes, other: bytes, name: str, limits: Limits = Limits()) -> float:
    """The share of the first model's weights that the second has, too, in [0, 1].

    Arguments:
        one: content of an ONNX file.
        other: content of another one.
        name: what messages call them.
        limits: of time and memory.

    Raises:
        ValueError: one of them is no model, or it takes more than the limits.
    """
    require_extra("leaderboard", "leaderboard", "onnx", "onnxruntime")
    request = {
        "model_bytes": len(one),
        "other_bytes": len(other),
        "memory": limits.memory,
        "seconds": limits.seconds,
    }
    content = b"".join((json.dumps(request).encode(), b"\n", one, other))
    reason, _, body = _answer(content, name, limits).partition(b"\n")
    share = np.frombuffer(body, np.float64) if len(body) == 8 else np.array([np.nan])
    if reason or not 0.0 <= share[0] <= 1.0:
        what = printable(reason.decode(errors="replace")) or "expected a share, found none"
        raise ValueError(f"{name}: {what}")
    return float(share[0])


def protections() -> dict[str, bool]:
    """Which of :data:`PROTECTIONS` this system grants, beside limits, which it always does.

    Found in a process of its own that takes them.
    """
    command = module_command("benchmark.leaderboard.sandbox.confinement")
    found = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, cwd="/", env=_ENVIRONMENT
    )
    held: dict[str, bool] = json.loads(found.stdout)
    return held


def _answer(content: bytes, name: str, limits: Limits) -> bytes:
    command = [*module_command("benchmark.leaderboard.sandbox"), str(os.getpid())]
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        cwd="/",
        env=_ENVIRONMENT,
    )
    try:
        found, said = child.communicate(content, timeout=_STARTUP_SECONDS + limits.seconds)
    except subprocess.TimeoutExpired:
        raise ValueError(
            f"{name}: expected codes within {limits.seconds} s, found none; give --time-limit "
            "where the encoder is just slow"
        ) from None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    if child.returncode == -signal.SIGXCPU:
        raise ValueError(
            f"{name}: expected less processor time than {limits.seconds} s of every core, found "
            "it used up; give --time-limit where the encoder is just slow"
        )
    if child.returncode:
        last = said.decode(errors="replace").strip().splitlines()[-1:]
        reason = printable(last[0]) if last else f"signal {-child.returncode}"
        raise ValueError(
            f"{name}: expected an encoder that runs within {spell_bytes(limits.memory)} of "
            f"memory, found its process ended ({reason})"
        )
    return found
