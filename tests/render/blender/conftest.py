"""Shots of the scene, drawn by one Blender."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import shared, succeeded
from tests.render.blender import stage
from tests.render.blender.closed_forms import (
    Shots,
)


@pytest.fixture(scope="session")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Shots:
    """Image and radiance of every shot, drawn by one Blender."""
    root = Path(__file__).parents[3]

    def take(out: Path) -> None:
        out.mkdir()
        command = [sys.executable, "-m", stage.__name__, str(out / "shots.npz")]
        succeeded(subprocess.run(command, cwd=root, capture_output=True, text=True))

    with np.load(shared(tmp_path_factory, "shots", take) / "shots.npz") as archive:
        return Shots(dict(archive))
