"""The theory page: what it names exists, and its script draws the numbers that are stored."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats

import threedident
from benchmark.cli import benchmark
from benchmark.losses.match import mismatch
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.suites.paper import TABLES

ROOT = Path(threedident.__file__).parents[1]
PAGE = (ROOT / "docs" / "theory.md").read_text()
IMAGES = ROOT / "docs" / "images"
CHEAP = 256  # negatives, up to which points are measured again


@pytest.fixture(scope="module")
def script() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("theory_picture", IMAGES / "theory.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)  # dataclasses look there
        spec.loader.exec_module(module)
        yield module


def test_every_test_that_the_page_names_exists() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)
    assert len(named) == PAGE.count("::test_") > 20
    for module, function in named:
        [path] = (ROOT / "tests").rglob(module)
        assert re.search(rf"^def {function}\(", path.read_text(), re.MULTILINE), function


def test_every_option_and_row_that_the_page_names_exists() -> None:
    named = set(re.findall(r"--[a-z][a-z-]+", PAGE))
    known = {name for parameter in benchmark.params for name in parameter.opts}
    assert named - {"--pairs", "--hue"} <= known  # which are options of the command render
    for table, names in re.findall(r"`(table\d)`: ((?:`[\w-]+`(?:, )?)+)", PAGE):
        rows = {row.name for row in TABLES[table].rows}
        assert set(re.findall(r"`([\w-]+)`", names)) <= rows


def test_the_options_of_each_theorem_match_it() -> None:
    commands = re.findall(
        r"`--source mixing ([^`]+)`", PAGE.split("## What its minimisers are")[1]
    )
    assert len(commands) == 3
    for command in commands:
        given = dict(re.findall(r"--([\w-]+) (\S+)", command))
        asked: dict[str, Any] = {name.replace("-", "_"): value for name, value in given.items()}
        if "sigma" in asked:
            asked["sigma"] = float(asked["sigma"])
        options = complete(Options(source="mixing", factors=3, **asked))
        assert mismatch(resolve(options, open_source(options))) is None


def test_the_script_reproduces_the_plotted_numbers(script: ModuleType) -> None:
    stored = json.loads((IMAGES / "theory.json").read_text())
    assert list(stored) == list(script.CASES)
    for name, (n, kappa) in script.CASES.items():
        for place, negatives in enumerate(script.NEGATIVES):
            if 64 <= negatives <= CHEAP:
                expected = stored[name]["losses"][place], stored[name]["gaps"][place]
                assert script.measured(n, kappa, negatives) == pytest.approx(expected, rel=1e-6)


def test_closed_forms_are_those_of_scipy_and_points_fall_onto_them(script: ModuleType) -> None:
    stored = json.loads((IMAGES / "theory.json").read_text())
    for name, (n, kappa) in script.CASES.items():
        case = script.Curve(**stored[name])
        law = stats.vonmises_fisher(np.eye(n)[0], kappa)
        assert case.limit == pytest.approx(law.entropy() - script.log_area(n), abs=1e-9)
        assert case.losses[-1] == pytest.approx(case.limit, abs=0.02)
        assert case.gaps[-1] == pytest.approx(case.ratio / script.NEGATIVES[-1], rel=0.03)


def test_the_picture_is_small() -> None:
    assert (IMAGES / "theory.png").stat().st_size < 150_000
