"""Trained encoders, loaded from the folders of their runs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from threedident.runtime.packages import Ours

if TYPE_CHECKING:
    from pathlib import Path

    import torch


def load_encoder(
    run: str | Path, seed: int | None = None, device: str | torch.device = "cpu"
) -> Any:
    """The trained encoder of a run, see :func:`benchmark.runs.loaded.load_encoder`.

    It also works in a script that has its own module named ``benchmark``.
    """
    with Ours("benchmark"):
        return import_module("benchmark.runs.loaded").load_encoder(run, seed, device)
