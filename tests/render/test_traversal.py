"""The figures of the renderer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import DRAFT, cli, pixels, refused_at_once

pytestmark = pytest.mark.slow


def test_traversal_moves_one_factor_a_column(tmp_path: Path) -> None:
    from render.traversal import VALUES, traversal_rows

    rows = traversal_rows().reshape(len(VALUES), 10, 10)
    for column in range(10):
        others = np.delete(rows[:, column], column, axis=1)
        assert (others == others[0]).all()
        assert rows[:, column, column] == pytest.approx(VALUES)
    out = tmp_path / "traversal.png"
    assert cli("traverse", out, *DRAFT).returncode == 0
    drawn = pixels(out)
    assert drawn.shape[1] > 10 * 32
    assert drawn.std() > 10
    assert [path.name for path in tmp_path.iterdir()] == ["traversal.png"]
    assert "create" in refused_at_once("traverse", tmp_path / "no" / "t.png", *DRAFT)
    assert "ends in .png" in refused_at_once("traverse", tmp_path / "t.jpg", *DRAFT)
