"""A server to fetch from, and a data set that it offers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import (
    DRAFT,
    cli,
)
from tests.exchange.fetching import BYTES
from tests.exchange.servers import (
    Server,
    serving,
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving() as found:
        found.files["file"] = BYTES
        yield found


@pytest.fixture(scope="session")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set with positives, masks and depths; tests must not change it."""
    root = tmp_path_factory.mktemp("paired") / "data"
    beside = ("--pairs", "normal:0.1", "--annotate", "mask,depth")
    result = cli("render", "--n", 5, "--n-test", 0, "--out", root, *beside, *DRAFT)
    assert result.returncode == 0, result.stderr
    return root
