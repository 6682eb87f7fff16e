"""The page on extending: each section's files, blocks and commands run as they stand."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import threedident
from benchmark.metrics import Scores, score
from tests.conftest import done_at_once, make_images

ROOT = Path(threedident.__file__).parents[1]
PAGE = (ROOT / "docs" / "extend.md").read_text()
BLOCK = re.compile(r'^```(\w+)(?: title="([\w.]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
SECTIONS = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
OBJECT = "Another object"  # drawn by Blender, in a process of its own


class Block(NamedTuple):
    """A block of code.

    Arguments:
        language: ``python`` or ``bash``.
        file: where the page says to save it, or nothing.
        code: its lines.
    """

    language: str
    file: str
    code: str


def blocks(section: str) -> list[Block]:
    return [Block(*found) for found in BLOCK.findall(SECTIONS[section])]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with data, from which files that a section saves can be imported."""
    folder = tmp_path_factory.mktemp("extend")
    make_images(folder / "data" / "demo", n=400, n_test=240)
    known = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        yield folder
        for name in set(sys.modules) - known:
            if (folder / f"{name}.py").is_file():
                del sys.modules[name]


def follow(section: str, folder: Path) -> dict[str, object]:
    """Do what a section says; returns the names that its blocks define."""
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks(section):
        if block.file:
            (folder / block.file).write_text(block.code)
            importlib.invalidate_caches()
        elif block.language == "python":
            exec(compile(block.code, section, "exec"), names)
        else:
            command, *arguments = shlex.split(block.code.replace("\\\n", ""))
            assert command == "threedident"
            done_at_once(*arguments, "--device", "cpu", "--workers", 0)
    return names


def test_every_section_with_code_is_followed_here() -> None:
    titles = {title for title in SECTIONS if blocks(title)}
    assert titles == {
        "A loss of your own",
        "An encoder of your own",
        "A metric of your own",
        "A source of your own",
        OBJECT,
    }
    assert PAGE.count("\n```") == 2 * sum(len(blocks(title)) for title in titles)


def test_a_loss_of_ones_own(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = follow("A loss of your own", place)
    assert names["anchors"].grad.abs().max() > 0  # type: ignore[attr-defined]
    assert "\nloss " in f"\n{capsys.readouterr().out}"
    assert (place / "runs" / "logdet" / "scores.json").is_file()


def test_an_encoder_and_then_a_metric_of_ones_own(place: Path) -> None:
    encoded = follow("An encoder of your own", place)
    assert encoded["codes"].shape == (64, 10)  # type: ignore[attr-defined]
    assert encoded["encoder"].config.encoder == "my_nets:Small"  # type: ignore[attr-defined]
    names = follow("A metric of your own", place)
    overlap, latents = names["neighbour_overlap"], names["test"].latents  # type: ignore[attr-defined]
    assert overlap(latents, latents @ names["rotation"]) > 0.8  # type: ignore[operator]
    assert overlap(latents, np.random.default_rng(1).normal(size=latents.shape)) < 0.1  # type: ignore[operator]
    assert 0 < overlap(latents, names["codes"]) < 1  # type: ignore[operator]
    scores = json.loads((place / "runs" / "measured" / "scores.json").read_text())
    own = scores["seeds"][0]["own"]["neighbours:overlap"]
    assert 0 <= own["values"]["overlap"] < 1
    assert own["remarks"] == []


def test_a_source_of_ones_own(place: Path) -> None:
    names = follow("A source of your own", place)
    assert names["batch"].anchors.shape == (256, 3)  # type: ignore[attr-defined]
    encoder = threedident.load_encoder("runs/spirals")
    assert encoder.labels == ("radius", "angle")
    assert encoder.scores is not None
    assert encoder.scores.r2 > 0.9
    line = ("--source-option", "turns=0.5,sigma=0.3", "--steps", 1, "--out", "runs/wide")
    done_at_once("benchmark", "--source", "my_source:Spirals", *line, "--device", "cpu")
    assert "source option" in done_at_once("compare", "runs/spirals", "runs/wide")


def test_another_object_is_drawn(tmp_path: Path) -> None:
    script = []
    for block in blocks(OBJECT):
        if block.file:
            (tmp_path / block.file).write_text(block.code)
        else:
            script.append(block.code)
    found = subprocess.run(
        [sys.executable, "-W", "error", "-c", "".join(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    assert "largest dimension" in found.stdout
    with Image.open(tmp_path / "bumps.png") as picture:
        assert picture.size == (4 * 96, 96)
        assert len(picture.getcolors(10**6) or ()) > 1000


def test_places_that_the_page_names_are_there() -> None:
    """Where it says what to change."""
    for path in re.findall(r"`((?:benchmark|render|assets)/[\w/]+\.\w+)`", PAGE):
        assert (ROOT / path).is_file(), path
    from render import settings
    from render.scene import teapot

    assert settings.REVISION > 0
    assert callable(teapot.scene_teapot)
    z = np.random.default_rng(0).uniform(size=(100, 2))
    record = {**score(latents=z, representations=z).to_json(), "rows": None}
    assert Scores.from_json({k: v for k, v in record.items() if k != "rows"}).rows is None
