"""What the renderer refuses, each with its one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from render.libraries import missing_packages
from render.settings import GPUS
from render.workers.process import devices
from tests.conftest import DRAFT, contents, only_line, refused_at_once, start_render

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (("--seed", 1), "seed 0 where 1 is asked for"),
        (("--hue", "published"), "hue_mode wrapped where published is asked for"),
        (("--resolution", 48), "resolution 32 where 48 is asked for"),
        (("--quality", "standard"), "quality draft where standard is asked for"),
    ],
)
def test_other_settings_are_refused_and_named(
    rendered: Path, changed: tuple[str, object], words: str
) -> None:
    before = contents(rendered)
    assert words in refused_at_once("render", "--n", 20, "--out", rendered, *DRAFT, *changed)
    assert contents(rendered) == before


def test_strange_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "thesis.tex").write_text("years of work")
    assert "thesis.tex" in refused_at_once("render", "--n", 3, "--out", tmp_path, *DRAFT)
    assert contents(tmp_path) == {"train/thesis.tex": b"years of work"}


@pytest.mark.parametrize(
    "name", ["train/positives", "train/masks", "test/images", "train/.render"]
)
def test_a_file_in_the_way_is_named_before_anything_is_done(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text("")
    variants = ("--pairs", "normal:0.1", "--annotate", "mask")
    line = refused_at_once("render", "--n", 3, "--n-test", 1, *variants, "--out", tmp_path, *DRAFT)
    assert f"{tmp_path / name}: expected a folder there, found a file; move it away" in line
    assert contents(tmp_path) == {name: b""}


def test_a_damaged_plan_is_named_with_what_to_delete(tmp_path: Path) -> None:
    plan = tmp_path / "train" / ".render" / "plan.json"
    plan.parent.mkdir(parents=True)
    plan.write_text('{"origin": 3')
    line = refused_at_once("render", "--n", 3, "--out", tmp_path, *DRAFT)
    assert f"{plan}: expected the plan of an unfinished render" in line
    assert "delete it and give the render command again" in line


def test_out_cannot_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = refused_at_once("render", "--n", 3, "--out", tmp_path / "file", *DRAFT)
    assert "expected a folder" in line
    assert "found a file" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--n", 0), "--n"),
        (("--n", -3), "--n"),
        (("--n", "many"), "--n"),
        (("--n", 10**13), "--n"),
        (("--n", 3, "--n-test", -1), "--n-test"),
        (
            ("--n", 3, "--quality", "best"),
            "--quality: expected one of paper, standard, draft, found 'best'",
        ),
        (("--n", 3, "--device", "abacus"), "expected one of auto, cpu, optix"),
        (("--n", 3, "--hue", "green"), "expected one of wrapped, published"),
        (("--n", 3, "--resolution", 0), "--resolution"),
        (("--n", 3, "--workers", 0), "--workers"),
        (("--n", 3, "--seed", -1), "--seed"),
        ((), "--n: expected a number of images or --latents FILE"),
        (("--n", 3, "--latents", "rows.npy"), "--n: expected none beside --latents"),
        (("--latents", "rows.npy"), "rows.npy: expected an npy file, found nothing"),
    ],
)
def test_bad_arguments_are_refused(
    tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    assert words in refused_at_once("render", "--out", tmp_path / "data", *arguments)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (np.zeros((3, 9)), "found (3, 9)"),
        (np.full((3, 10), np.nan), "found nan in row 0"),
        (np.full((3, 10), 1.5), "found 1.5 in row 0"),
    ],
)
def test_bad_latents_are_refused(tmp_path: Path, rows: np.ndarray, words: str) -> None:
    np.save(tmp_path / "rows.npy", rows)
    out = tmp_path / "data"
    assert words in refused_at_once("render", "--latents", tmp_path / "rows.npy", "--out", out)
    assert not out.exists()


def test_an_absent_gpu_is_named_with_what_there_is(tmp_path: Path) -> None:
    found = list(devices())
    assert found[-1] == "cpu"
    absent = next(gpu for gpu in GPUS if gpu not in found)
    line = refused_at_once("render", "--n", 3, "--device", absent, "--out", tmp_path / "data")
    assert f"expected one of {', '.join(found)} here, found {absent}" in line
    assert not (tmp_path / "data").exists()


def test_a_missing_library_is_named_with_its_package(tmp_path: Path) -> None:
    (tmp_path / "libXi.so.6").write_bytes(b"")
    broken = {"LD_LIBRARY_PATH": str(tmp_path)}
    process = start_render(tmp_path / "data", "--n", 3, env=broken)
    _, stderr = process.communicate()
    assert process.returncode == 2
    assert "apt-get install libxi6" in only_line(stderr)
    assert not (tmp_path / "data").exists()
    listed = subprocess.run(
        [sys.executable, "-m", "render.libraries"],
        env={**os.environ, **broken},
        capture_output=True,
        text=True,
    )
    assert (listed.returncode, listed.stdout) == (1, "libxi6\n")
    assert missing_packages() == []


def test_missing_blender_is_named(tmp_path: Path) -> None:
    site = Path(np.__file__).parents[1]
    others = tmp_path / "site"
    others.mkdir()
    for entry in site.iterdir():
        if not entry.name.startswith("bpy"):
            (others / entry.name).symlink_to(entry)
    script = "import sys; from threedident.cli import main; main(sys.argv[1:])"
    result = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            script,
            "render",
            "--n",
            "3",
            "--out",
            str(tmp_path / "data"),
        ],
        env={**os.environ, "PYTHONPATH": f"{others}{os.pathsep}{Path(__file__).parents[3]}"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 2, result.stderr
    assert "pip install 'bpy==4.5.*'" in result.stderr
    assert not (tmp_path / "data").exists()
