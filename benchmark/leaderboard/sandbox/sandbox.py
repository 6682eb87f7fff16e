"""Execution of untrusted encoders in a confined process."""

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
    "network": "a separate, empty network",
    "files": "a root folder without files",
    "rights": "a user who is not root",
    "calls": "a short list of allowed system calls",
}
_NOWHERE = "/dev/null"  # not even root can create files below this path
_ENVIRONMENT = {
    "HOME": _NOWHERE,
    "XDG_CACHE_HOME": _NOWHERE,
    "OPENBLAS_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
}


@dataclass(frozen=True)
class Limits:
    """Limits of an encoder.

    Arguments:
        seconds: wall time in seconds for all passes of one request.
        memory: bytes, in addition to the memory of the process before it reads the encoder.
    """

    seconds: int = 600
    memory: int = 4 * 2**30


@dataclass(frozen=True)
class Pass:
    """One pass through all images.

    Arguments:
        batch: number of images in a batch.
        order: order of the rows; None for the given order.
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
    """Codes of every pass, in the order of the images, shape (N, codes) each.

    Arguments:
        model: content of an ONNX file.
        images: images, shape (N, H, H, 3).
        codes: required number of codes for an image.
        passes: passes through the images.
        name: name of the model in messages.
        limits: limits of time and memory.

    Raises:
        ValueError: the model is not allowed, fails, or exceeds a limit.
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
    """The share of the weights of the first model that the second model also has, in [0, 1].

    Arguments:
        one: content of an ONNX file.
        other: content of another ONNX file.
        name: name of the models in messages.
        limits: limits of time and memory.

    Raises:
        ValueError: one of them is not a model, or a limit is exceeded.
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
    """True or False for each of :data:`PROTECTIONS` on this system. The limits always hold.

    A separate process tries all of them.
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
            "if the encoder is only slow"
        ) from None
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    if child.returncode == -signal.SIGXCPU:
        raise ValueError(
            f"{name}: expected less processor time than {limits.seconds} s of every core, found "
            "it used up; give --time-limit if the encoder is only slow"
        )
    if child.returncode:
        last = said.decode(errors="replace").strip().splitlines()[-1:]
        reason = printable(last[0]) if last else f"signal {-child.returncode}"
        raise ValueError(
            f"{name}: expected an encoder that runs within {spell_bytes(limits.memory)} of "
            f"memory, found its process ended ({reason})"
        )
    return found
