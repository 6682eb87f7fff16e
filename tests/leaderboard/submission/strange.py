"""Names of files of a submission."""

from __future__ import annotations

from pathlib import Path

import numpy as np

CODES_FILE = "representations_seed0.npy"


def codes(folder: Path) -> np.ndarray:
    return np.load(folder / CODES_FILE)
