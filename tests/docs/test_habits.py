"""What others find beside the code: how to cite it, and what runs on every change."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.docs.blocks import ROOT
from threedident import __version__

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_the_citation_names_this_version_and_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    paper = citation["preferred-citation"]
    readme = (ROOT / "README.md").read_text()
    assert f"{{{paper['title']}}}" in readme
    assert f"{{{paper['start']}--{paper['end']}}}" in readme
    written = " and ".join(f"{a['family-names']}, {a['given-names']}" for a in paper["authors"])
    assert f"{{{written}}}" in readme


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_call_the_make_target_of_their_name(path: Path) -> None:
    [job] = yaml.safe_load(path.read_text())["jobs"].values()
    run = [line for step in job["steps"] for line in step.get("run", "").splitlines()]
    assert [line for line in run if line.split()[:2] == ["make", path.stem]]
    [phony] = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    called = {word for line in run if line.startswith("make ") for word in line.split()[1:]}
    assert called <= {*phony.split(), ".venv/.ready", "PYTHON=python"}
