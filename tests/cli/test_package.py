"""The wheel: it carries everything it needs, and works far from the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import threedident
from threedident.runtime.packages import asset_path

pytestmark = pytest.mark.slow

ROOT = Path(threedident.__file__).parents[1]


def tracked() -> list[str]:
    """The files of this version, without those that are hidden."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs a checkout with git")
    return [name for name in listed.stdout.splitlines() if not name.startswith(".")]


def test_asset_path_names_what_is_missing() -> None:
    assert asset_path("scene.json").is_file()
    with pytest.raises(FileNotFoundError, match=r"no-such\.json"):
        asset_path("no-such.json")


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the source distribution and of the wheel that is built from it.

    It is the one that DIST names, if it does, as `make release` does.
    """
    if "DIST" in os.environ:
        return Path(os.environ["DIST"])
    folder = tmp_path_factory.mktemp("dist")
    source = folder / "source"
    source.mkdir()
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    result = subprocess.run([*build, str(source)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "absent from the `packages` configuration" not in result.stdout + result.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return next(dist.glob("*.whl"))


def test_what_is_uploaded_is_in_order(dist: Path) -> None:
    files = [str(path) for path in dist.glob("threedident-*")]
    assert len(files) == 2
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *files],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert all(
        Path(name).name.startswith(f"threedident-{threedident.__version__}") for name in files
    )
    top = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)[0]
    assert top == threedident.__version__
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = set(tracked())
    assert wanted <= names
    made = {"PKG-INFO", "setup.cfg", "threedident.egg-info"}
    others = {name for name in names - wanted if name and name.split("/")[0] not in made}
    assert others <= {str(parent) for name in wanted for parent in Path(name).parents}
    assert sum(path.stat().st_size for path in dist.glob("threedident-*")) < 20e6


def test_wheel_holds_the_three_packages_and_the_assets(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"threedident", "render", "benchmark"}
    for name in ("scene.json", "teapot.json", "SOURCES.md"):
        assert f"threedident/_assets/{name}" in names
    assert {f"{top}/py.typed" for top in tops} <= set(names)
    modules = [path for top in tops for path in (ROOT / top).rglob("*.py")]
    assert {str(path.relative_to(ROOT)) for path in modules} <= set(names)
    for page in ("pages/page", "runs/reports/report", "suites/report"):
        assert f"benchmark/{page}.html.j2" in names
    board = {name for name in names if name.startswith("benchmark/leaderboard/")}
    for kind in ("html.j2", "css", "js"):
        assert f"benchmark/leaderboard/board/template/leaderboard.{kind}" in board
    assert "benchmark/leaderboard/submission/submission.schema.json" in board
    rows = {path.name for path in (ROOT / "benchmark/leaderboard/board/entries").glob("*.json")}
    assert {name.split("/")[-1] for name in board if "/board/entries/" in name} == rows
    assert "benchmark/leaderboard/board/data.json" in board
    assert not [name for name in names if name.endswith(".png")]


def test_installed_wheel_renders_and_opens(wheel: Path, tmp_path: Path) -> None:
    site, away = tmp_path / "site", tmp_path / "away"
    away.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(site), str(wheel)], check=True)
    script = """
import threedident, render.scene.frame
assert "site" in threedident.__file__ and "site" in render.scene.frame.__file__
from threedident.cli import main
try:
    main(["render", "--n", "2", "--n-test", "0", "--resolution", "16", "--quality", "draft",
          "--device", "cpu", "--out", "data"])
except SystemExit as end:
    assert end.code == 0, end
try:
    main(["leaderboard", "build"])
except SystemExit as end:
    assert end.code == 0, end
assert "zimmermann" in open("leaderboard.html").read()
try:
    main(["leaderboard", "entries"])
except SystemExit as end:
    assert end.code == 0, end
for writes in (
    ["season", "open", "mine"],
        ["season", "reveal", "mine", "--secret", "-"],
    ["verify", "nowhere", "--secret", "-"],
        ["pin", "data"],
    ["check", "nowhere", "--add"],
):
    try:
        main(["leaderboard", *writes])
    except SystemExit as end:
        assert end.code == 2, end
image, latents = threedident.ThreeDIdent("data")[1]
assert image.shape == (3, 16, 16) and latents.shape == (10,)
"""
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=away,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("--board: expected a folder to write to") == 5
    (away / "benchmark.py").write_text("raise RuntimeError('of the working directory')")
    (away / "render").mkdir()
    for name in ("render", "benchmark", "leaderboard"):
        shown = subprocess.run(
            [sys.executable, "-m", "threedident", name, "--help"],
            cwd=away,
            env={**os.environ, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
        )
        assert shown.returncode == 0, shown.stderr


def test_the_demo_says_how_long_it_takes_before_it_begins() -> None:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    told = subprocess.run(
        ["make", "--dry-run", "demo"],
        cwd=ROOT,
        env=outside,
        capture_output=True,
        text=True,
        check=True,
    )
    first = told.stdout.splitlines()[0]
    assert re.search(r"demo: about \d+ minutes in all", first)
