"""The page of results shows the committed scores, which are as their runs wrote them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmark.config import Config
from benchmark.suites.outcome import Outcome, read_outcome
from benchmark.suites.suite import TABLES
from benchmark.training.folder import RunFolder
from tests.test_architecture import ROOT

PAGE = (ROOT / "docs" / "results.md").read_text()
KEPT = sorted(path.parent for path in (ROOT / "docs" / "scores").rglob("scores.json"))
IDS = [f"{folder.parent.name}/{folder.name}" for folder in KEPT]


def kept(folder: Path) -> Outcome:
    [row] = [row for row in TABLES[folder.parent.name].rows if row.name == folder.name]
    found = read_outcome(row, RunFolder(folder))
    assert found is not None
    return found


def section(suite: str) -> str:
    """The section of the page that names the command of a suite."""
    [found] = [part for part in re.split(r"^## ", PAGE, flags=re.M) if f"--suite {suite} " in part]
    return found


@pytest.mark.parametrize("folder", KEPT, ids=IDS)
def test_scores_are_as_the_run_wrote_them(folder: Path) -> None:
    outcome = kept(folder)  # which compares the seal
    config, table = RunFolder(folder).read_config(), TABLES[folder.parent.name]
    asked = table.options(outcome.row, "small")
    shared = {name for name in asked if name in Config.model_fields} - {"source"}
    assert len(shared) > 5
    assert {name: getattr(config, name) for name in shared} == {n: asked[n] for n in shared}
    assert [record["seed"] for record in outcome.scores["seeds"]] == list(config.seeds)


@pytest.mark.parametrize("folder", KEPT, ids=IDS)
def test_the_page_shows_the_scores(folder: Path) -> None:
    outcome = kept(folder)
    lines = section(folder.parent.name).splitlines()
    [line] = [line for line in lines if line.startswith(f"| {folder.name} |")]
    for score in ("r2", "mcc"):
        figure = outcome.ours(score)
        assert figure is not None
        assert f"| {figure.mean:.1f} ± {figure.sd:.1f} |" in line
