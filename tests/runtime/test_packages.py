"""Modules of other people that have the names of our packages: what works beside them."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.plugins import imported
from render.executors.slurm import Call
from render.workers.chunk import Chunk
from tests.conftest import DRAFT, make_images
from threedident.runtime.packages import HOME, Ours, call, module_command, require_extra

pytestmark = pytest.mark.slow

BROKEN = "raise RuntimeError(f'{__name__} of the working directory was imported')\n"
NAMES = ("benchmark", "render", "statistics", "profile", "queue", "typing", "click", "numpy")
NET = """
import torch
def Net(codes):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, codes))
"""
MODULE = (sys.executable, "-m", "threedident")
SCRIPT = (str(Path(sys.executable).with_name("threedident")),)


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A working directory whose modules have the names of ours and of others that we need."""
    folder = tmp_path / "beside"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(BROKEN)
    return folder


def done(
    command: tuple[object, ...] | list[str], folder: Path, path: str = HOME
) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder to its end."""
    line = [str(word) for word in command]
    env = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True)


@pytest.mark.parametrize("start", [MODULE, SCRIPT], ids=["module", "script"])
def test_the_command_line_trains_beside_modules_of_its_names(
    start: tuple[str, ...], beside: Path, tmp_path: Path
) -> None:
    """With loader processes, and a network that lies in that directory."""
    data = make_images(tmp_path / "data")
    (beside / "my_nets.py").write_text(NET)
    small = ("--steps", 1, "--batch-size", 4, "--workers", 1, "--device", "cpu")
    line = (*start, "benchmark", "--data", data, "--encoder", "my_nets:Net", "--out", "run")
    result = done((*line, *small), beside)
    assert result.returncode == 0, result.stderr
    assert "Warning" not in result.stderr
    assert (beside / "run" / "scores.json").is_file()


@pytest.mark.parametrize("executor", ["local", "slurm"])
def test_workers_render_beside_modules_of_their_names(executor: str, beside: Path) -> None:
    (beside / "statistics.py").unlink()  # which submitit's own process would import
    for name in ("profile", "queue", "typing", "click", "numpy"):
        (beside / f"{name}.py").unlink()
    where = ("--executor", executor, *(("--slurm-cluster", "local") * (executor == "slurm")))
    line = (*MODULE, "render", "--n", 2, "--n-test", 0, "--out", "data", *where, *DRAFT)
    result = done(line, beside)
    assert result.returncode == 0, result.stderr
    assert "2 train images (2 new)" in result.stdout


def test_rows_of_a_suite_run_beside_modules_of_their_names(beside: Path) -> None:
    rows = ("--suite", "table1", "--rows", "box-identity", "--seeds", "0", "--device", "cpu")
    result = done((*MODULE, "benchmark", *rows, "--out", "suite"), beside)
    assert result.returncode == 0, result.stderr
    assert (beside / "suite" / "box-identity" / "scores.json").is_file()


def test_ranks_of_torchrun_run_beside_modules_of_their_names(beside: Path, tmp_path: Path) -> None:
    data = make_images(tmp_path / "data")
    launcher = (Path(sys.executable).with_name("torchrun"), "--standalone", "--nproc-per-node", 1)
    small = ("--steps", 1, "--batch-size", 4, "--workers", 0, "--device", "cpu")
    line = (*launcher, "-m", "threedident", "benchmark", "--encoder", "conv", "--data", data)
    result = done((*line, *small, "--out", "run"), beside)
    assert result.returncode == 0, result.stderr
    assert (beside / "run" / "scores.json").is_file()


def test_other_modules_on_pythonpath_leave_the_command_line_alone(beside: Path) -> None:
    for path in beside.iterdir():
        if path.stem not in ("benchmark", "render"):
            path.unlink()
    for name in ("benchmark", "render"):
        result = done((*SCRIPT, name, "--help"), beside, f"{beside}{os.pathsep}{HOME}")
        assert result.returncode == 0, result.stderr
        assert f"Usage: threedident {name}" in result.stdout


def test_our_processes_run_what_is_ours(beside: Path) -> None:
    """Whatever lies in the working directory and on PYTHONPATH, folders without modules, too."""
    for path in beside.iterdir():
        path.unlink()
    (beside / "benchmark").mkdir()
    (beside / "render.py").write_text(BROKEN)
    (beside / "threedident.py").write_text(BROKEN)
    for line in (["threedident", "benchmark", "--help"], ["render.workers", "--help"]):
        result = done([*module_command(line[0]), *line[1:]], beside, str(beside))
        assert result.returncode == 0, result.stderr
    sandbox = done(module_command("benchmark.leaderboard.sandbox"), beside, str(beside))
    assert "leaderboard/sandbox/__main__.py" in sandbox.stderr  # which was given no request


@pytest.mark.parametrize("shape", ["module", "package", "folder"])
def test_a_script_is_told_what_shadows_what(shape: str, tmp_path: Path) -> None:
    """In one warning; its own module is what it gets."""
    place = tmp_path / "benchmark"
    if shape == "module":
        place = tmp_path / "benchmark.py"
        place.write_text("MINE = True\n")
    else:
        place.mkdir()
    if shape == "package":
        place = place / "__init__.py"
        place.write_text("MINE = True\n")
    (tmp_path / "script.py").write_text(
        "import sys, threedident\n"
        f"sys.path = [path for path in sys.path if path != {HOME!r}]\n"
        "import benchmark\n"
        "print(getattr(benchmark, 'MINE', None) or list(benchmark.__path__))\n"
    )
    result = done((sys.executable, "script.py"), tmp_path)
    assert result.returncode == 0
    assert result.stdout.strip() == (str([str(place)]) if shape == "folder" else "True")
    assert result.stderr.count("UserWarning") == 1
    assert (
        f"UserWarning: benchmark: expected threedident's package {HOME}/benchmark, found {place}, "
        "which shadows it; rename that one"
    ) in result.stderr
    assert "script.py:3" in result.stderr


def test_our_own_modules_warn_of_nothing(tmp_path: Path) -> None:
    script = "import threedident, benchmark.suites.table, render.scene.constants"
    assert done((sys.executable, "-W", "error", "-c", script), tmp_path).returncode == 0


@pytest.mark.parametrize("imported", ["", "import benchmark\n"], ids=["not yet", "already"])
def test_library_code_has_our_package_beside_a_script_of_its_name(
    beside: Path, imported: str
) -> None:
    script = (
        "import warnings\n"
        f"{imported}"
        "from threedident.runtime.packages import Ours\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    with Ours('benchmark'):\n"
        "        import benchmark.suites.table as first\n"
        "    warnings.simplefilter('ignore')\n"
        "    with Ours('benchmark'):\n"
        "        import benchmark.suites.table as second\n"
        "import benchmark\n"
        "print(first.__file__, first is second)\n"
        "print(benchmark.__file__)\n"
        "print(len(caught), caught[0].message)\n"
    )
    for name in ("statistics", "profile", "queue", "typing", "click", "numpy"):
        (beside / f"{name}.py").unlink()
    (beside / "benchmark.py").write_text("")
    result = done((sys.executable, "-W", "ignore", "-c", script), beside)
    assert result.returncode == 0, result.stderr
    place, theirs, said = result.stdout.splitlines()
    assert place == f"{HOME}/benchmark/suites/table.py True"
    assert theirs == f"{beside}/benchmark.py"
    assert said.startswith("1 benchmark: expected threedident's package")
    assert f"found {beside}/benchmark.py" in said


def test_a_name_that_is_taken_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "render.py").write_text("")
    script = "import render\nfrom threedident.cli import main\nmain(['info', '--help'])"
    result = done((sys.executable, "-c", script), tmp_path)
    assert result.returncode == 2
    taken = (
        f"render: expected threedident's package {HOME}/render, found {tmp_path}/render.py, "
        "already imported; rename that one"
    )
    assert result.stderr.strip() == f"threedident: {taken}"


def test_what_is_ours_already_stays() -> None:
    path, there = list(sys.path), sys.modules["render.workers.process"]
    with Ours("render"):
        assert sys.modules["render.workers.process"] is there
    assert sys.modules["render.workers.process"] is there
    assert call("render.workers.chunk:Chunk", Path("split"), (1,), 2) == Chunk(
        Path("split"), (1,), 2
    )
    assert sys.path == path


def test_an_encoder_in_a_file_of_our_packages_name_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benchmark.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="rename the file, since benchmark is a package of three"):
        imported("benchmark:Net", "encoder")


def test_pickles_for_other_machines_find_our_packages(beside: Path) -> None:
    """As Ray's and submitit's processes open them, with the working directory first."""
    for path in beside.iterdir():
        if path.stem not in ("benchmark", "render"):
            path.unlink()
    sent = pickle.dumps((Call(), Chunk(Path("/split"), (3, 4), 2)))
    script = f"import pickle; print(pickle.loads({sent!r}))"
    result = done((sys.executable, "-c", script), beside)
    assert result.returncode == 0, result.stderr
    assert "render.executors.slurm.Call" in result.stdout
    assert "Chunk(split=PosixPath('/split'), indices=(3, 4), threads=2)" in result.stdout


def test_the_watch_costs_no_imports(tmp_path: Path) -> None:
    script = (
        "import json, sys\nbefore = set(sys.modules)\nimport threedident\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    [line] = done((sys.executable, "-c", script), tmp_path).stdout.splitlines()
    assert json.loads(line) == [
        "threedident",
        "threedident.runtime",
        "threedident.runtime.packages",
    ]


def test_missing_packages_of_an_extra_are_named() -> None:
    require_extra("leaderboard", "leaderboard", "json", "click")
    with pytest.raises(ValueError, match=r"^--thing: expected the package not_here, found none"):
        require_extra("--thing", "leaderboard", "json", "not_here")
    with pytest.raises(ValueError, match=r"pip install 'threedident\[leaderboard\]'$"):
        require_extra("--thing", "leaderboard", "not_here")


def test_scores_and_losses_come_from_the_library_beside_a_module_of_that_name(
    beside: Path,
) -> None:
    for name in NAMES:
        if name != "benchmark":
            (beside / f"{name}.py").unlink()
    (beside / "benchmark.py").write_text("mine = 5\n")
    (beside / "script.py").write_text(
        "import sys, threedident\n"
        "assert 'torch' not in sys.modules\n"
        "from threedident import LpSimilarity, info_nce, probe, score\n"
        "import torch, benchmark\n"
        "z = torch.rand(300, 3)\n"
        "assert score(latents=z, representations=z).r2 > 0.99\n"
        "assert probe(latents=z, representations=z) is not None\n"
        "assert info_nce(z, z, LpSimilarity(2), temperature=1.0).isfinite()\n"
        "assert benchmark.mine == 5\n"
    )
    result = done((sys.executable, "-W", "ignore", "script.py"), beside)
    assert result.returncode == 0, result.stderr
