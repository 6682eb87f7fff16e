"""The tutorials: each notebook runs on small data without a warning, and its numbers hold."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import threedident
from tests.conftest import make_images

ROOT = Path(threedident.__file__).parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"
NAMES = ("first-look", "own-encoder", "scoring-codes")
DATA = 'DATA = "../../data/demo"'
MOST_BYTES = 300_000
TEST_ROWS = 240  # scores of fewer rows for ten codes would warn


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures whose colours are their positions."""
    return make_images(tmp_path_factory.mktemp("tutorials"), n=400, n_test=TEST_ROWS)


@pytest.fixture(autouse=True)
def _this_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels import this checkout, and look for their files where Jupyter will."""
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    )
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")


def run(name: str, data: Path, folder: Path, shown: str) -> Any:
    """Execute a notebook in a folder; returns what an expression has as its value at the end.

    Warnings are errors in the kernel, too.
    """
    notebook = nbformat.read(TUTORIALS / f"{name}.ipynb", 4)
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    assert first.source.startswith(DATA)
    first.source = first.source.replace(DATA, f"DATA = {str(data)!r}")
    strict = nbformat.v4.new_code_cell("import warnings\n\nwarnings.simplefilter('error')")
    last = nbformat.v4.new_code_cell(f"import json\n\nprint(json.dumps({shown}))")
    notebook.cells = [strict, *notebook.cells, last]
    where = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    return json.loads(last.outputs[-1]["text"])


def test_a_first_look_sees_wider_steps_than_requested(data: Path, tmp_path: Path) -> None:
    shown = "[len(train), batch.image.shape, float(asked), float(got), distances[0].tolist()]"
    count, shape, asked, got, distances = run("first-look", data, tmp_path, shown)
    assert count == 400
    assert shape == [64, 3, 16, 16]
    assert 0.09 < asked < 0.1 < got < 0.6
    assert distances == sorted(distances)


def test_an_encoder_of_ones_own_learns_and_lightning_agrees(data: Path, tmp_path: Path) -> None:
    shown = "[losses, module.losses, untrained.r2, trained.r2, by_lightning.r2]"
    losses, others, untrained, trained, by_lightning = run("own-encoder", data, tmp_path, shown)
    assert len(losses) == 4 * (400 // 64)
    assert sum(losses[-5:]) < sum(losses[:5])
    assert others == pytest.approx(losses, rel=1e-3)
    assert by_lightning == pytest.approx(trained, abs=0.02)
    assert trained > untrained


def test_codes_from_anywhere_are_scored_and_drawn(data: Path, tmp_path: Path) -> None:
    shown = (
        "[{name: [s.r2, s.mcc, s.mcc_spearman] for name, s in scores.items()}, "
        "{name: p.nonlinear_r2 for name, p in probes.items()}, list(kept)]"
    )
    scores, nonlinear, kept = run("scoring-codes", data, tmp_path, shown)
    assert kept == ["shuffled", "bent", "rotated", "lossy", "pixels"]
    assert min(scores["shuffled"]) > 0.9
    assert scores["bent"][2] > 0.99 > 0.95 > scores["bent"][1]
    assert scores["rotated"][0] > 0.9 > 0.75 > scores["rotated"][1]
    assert scores["lossy"][0] == pytest.approx(0.6, abs=0.05)
    assert all(nonlinear[name] > scores[name][0] - 0.05 for name in kept)
    assert (tmp_path / "codes.png").stat().st_size > 10_000


@pytest.mark.parametrize("name", NAMES)
def test_stored_outputs_show_pictures_and_nothing_of_the_machine(name: str) -> None:
    path = TUTORIALS / f"{name}.ipynb"
    text, notebook = path.read_text(), nbformat.read(path, 4)
    assert len(text) < MOST_BYTES
    assert "site-packages" not in text
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in codes] == [*range(1, len(codes) + 1)]
    outputs = [output for cell in codes for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {
        "display_data",
        "execute_result",
        "stream",
    }
    assert all(output.get("name", "stdout") == "stdout" for output in outputs)
    assert any("image/png" in output.get("data", {}) for output in outputs)
