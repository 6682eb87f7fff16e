"""A server to fetch from, and a data set that it offers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
