"""Exports and their samples."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path
from typing import Any

import webdataset as wds


def samples(out: Path, split: str, *decoders: str) -> list[dict[str, Any]]:
    """Every sample of the shards, read and decoded by the webdataset package."""
    shards = sorted(map(str, out.glob(f"{split}-*.tar")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves its files open
        dataset = wds.WebDataset(shards, shardshuffle=False)
        found = list(dataset.decode(*decoders) if decoders else dataset)
        gc.collect()
    return found
