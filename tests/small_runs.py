"""Small runs of the benchmark: pictures whose colours are their positions, and what came out.

On one thread: exactness is a law there; with several, sums may be formed in another order.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch

from tests.conftest import cli
from threedident.runtime.files import sha256

TRAINED = ("--batch-size", 32, "--learning-rate", "1e-3", "--device", "cpu", "--workers", 0)
SMALL = ("--encoder", "conv", *TRAINED)
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def run(data: Path, out: Path, *arguments: object, drawn: bool = False) -> dict[str, Any]:
    """A run to its end; returns its scores."""
    line = ("benchmark", "--data", data, "--out", out, *SMALL, *arguments)
    result = cli(*line, env=ONE_THREAD, drawn=drawn)
    assert result.returncode == 0, result.stderr
    scores: dict[str, Any] = json.loads((out / "scores.json").read_text())
    return scores


def results(out: Path) -> dict[str, str]:
    """Digests of everything that a run computes."""
    state = torch.load(out / "checkpoints" / "seed-0.pt")
    tensors = {f"model {name}": tensor for name, tensor in state["objective"].items()}
    for index, moments in state["optimizer"]["state"].items():
        tensors |= {f"adam {index} {name}": value for name, value in moments.items()}
    digests = {name: sha256(tensor.numpy().tobytes()) for name, tensor in tensors.items()}
    for name in ("metrics.jsonl", "scores.json", "representations/seed-0.npy"):
        digests[name] = sha256((out / name).read_bytes())
    return digests


def wait_for_step(checkpoint: Path, step: int) -> None:
    end = time.monotonic() + 300
    while not checkpoint.is_file() or torch.load(checkpoint)["step"] < step:
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)
