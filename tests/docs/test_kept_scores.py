"""The page of results shows the committed scores, which are as their runs wrote them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.core import ParameterSource

from benchmark.cli import benchmark
from benchmark.config import Config
from benchmark.suites.outcome import Outcome, read_outcome
from benchmark.suites.suite import TABLES
from benchmark.suites.table import Row
from benchmark.training.folder import RunFolder
from tests.test_architecture import ROOT

PAGE = (ROOT / "docs" / "results.md").read_text()
KEPT = sorted(path.parent for path in (ROOT / "docs" / "scores").rglob("scores.json"))
IDS = [f"{folder.parent.name}/{folder.name}" for folder in KEPT]


def kept(folder: Path) -> Outcome:
    rows = TABLES[folder.parent.name].rows if folder.parent.name in TABLES else ()
    found = [row for row in rows if row.name == folder.name] or [Row(folder.name, {}, {})]
    outcome = read_outcome(found[0], RunFolder(folder))
    assert outcome is not None
    return outcome


def section(folder: Path) -> str:
    """The section of the page that has the command of a suite, or of a run."""
    name = folder.parent.name
    command = f"--suite {name} " if name in TABLES else f"--out runs/{name}/{folder.name}\n"
    [found] = [part for part in re.split(r"^## ", PAGE, flags=re.M) if command in part]
    return found


def asked(folder: Path) -> dict[str, Any]:
    """The settings that the command on the page gives."""
    name = folder.parent.name
    if name in TABLES:
        return TABLES[name].options(kept(folder).row, "small")
    [command] = re.findall(
        rf"^threedident benchmark (.* --out runs/{name}/{folder.name})$",
        section(folder).replace("\\\n", ""),
        flags=re.M,
    )
    line = benchmark.make_context("benchmark", shlex.split(command))
    given = ParameterSource.COMMANDLINE
    return {n: v for n, v in line.params.items() if line.get_parameter_source(n) is given}


@pytest.mark.parametrize("folder", KEPT, ids=IDS)
def test_scores_are_as_the_run_wrote_them(folder: Path) -> None:
    outcome = kept(folder)  # which compares the seal
    config, settings = RunFolder(folder).read_config(), asked(folder)
    shared = {name for name in settings if name in Config.model_fields} - {"source"}
    assert len(shared) > 5
    assert {name: getattr(config, name) for name in shared} == {n: settings[n] for n in shared}
    assert [record["seed"] for record in outcome.scores["seeds"]] == list(config.seeds)


@pytest.mark.parametrize("folder", KEPT, ids=IDS)
def test_the_page_shows_the_scores(folder: Path) -> None:
    outcome = kept(folder)
    lines = section(folder).splitlines()
    [line] = [line for line in lines if line.startswith(f"| {folder.name} |")]
    for score in ("r2", "mcc"):
        figure = outcome.ours(score)
        assert figure is not None
        assert f"| {figure.mean:.1f} ± {figure.sd:.1f} |" in line
