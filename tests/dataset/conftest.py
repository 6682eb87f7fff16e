"""Images with and without a pack."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import make_images
from tests.dataset.packed import copied, pack


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Image files alone, 20 pixels wide."""
    return make_images(tmp_path_factory.mktemp("plain"), n=60, n_test=10, edge=20)


@pytest.fixture
def packed(plain: Path, tmp_path: Path) -> Path:
    """The same images, packed."""
    root = copied(plain, tmp_path / "data")
    pack(root)
    pack(root)
    return root
