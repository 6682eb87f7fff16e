"""What tests of downloads fetch, and with how little patience."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tests.exchange.servers import (
    Server,
    cut,
)
from threedident.exchange.fetch import Patience, fetch

HASTE = Patience(silence_s=0.5, tries=3, first_pause_s=0.01, longest_pause_s=0.02)
BYTES = np.random.default_rng(0).bytes(300_000)
MOST = 400_000


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def get(server: Server, path: Path, patience: Patience = HASTE) -> None:
    fetch(f"{server.url}/file", path, md5(BYTES), MOST, patience)


def begun(server: Server, path: Path, count: int = 100_000) -> None:
    """Let an earlier run have fetched so many bytes."""
    server.plan = [cut(count)]
    with pytest.raises(ValueError, match=f"{count // 1000} kB are kept, the same command again"):
        get(server, path, Patience(tries=1))
    server.asked.clear()
