"""Mistyped paths: the nearest data set, run, submission or file that is there is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.leaderboard.submission.folder import SubmissionFolder
from benchmark.runs.loaded import load_encoder
from tests.comparison.test_compare import write_run
from tests.conftest import make_images, refused_at_once
from tests.leaderboard.submissions import NAME, make_submission
from tests.pedestrians import make_pickle
from threedident.runtime.errors import nearest_path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_data_sets(here: Path) -> None:
    """Beside the path, along it, and in the usual folder; only what holds splits is named."""
    make_images(here / "data" / "3dident", n=2, n_test=1)
    (here / "data" / "notes").mkdir()
    for wrong in ("data/3dindet", "dta/3dident", "dat/3dIdent", "3dident", "elsewhere/3dident"):
        for command in ("info", "verify", "pack"):
            line = refused_at_once(command, wrong)
            assert line.endswith(f"{wrong}; did you mean data/3dident?"), wrong
    line = refused_at_once("info", here / "data" / "3dindet")
    assert line.endswith(f"did you mean {here / 'data' / '3dident'}?")
    for other in ("data/note", "data/other", "/nowhere/at/all"):
        assert refused_at_once("info", other).endswith("with threedident render --out"), other


def test_runs(here: Path) -> None:
    write_run(here / "r1", [0.5])
    write_run(here / "runs" / "demo", [0.5])
    write_run(here / "suites" / "table1-small" / "row", [0.5])
    (here / "r3").write_text("no run")
    for wrong, near in (
        ("r2", "r1"),
        ("rr1", "r1"),
        ("dmo", "runs/demo"),
        ("run/dem", "runs/demo"),
    ):
        for words in (
            ("benchmark", "--resume", wrong),
            ("compare", wrong),
            ("leaderboard", "submit", wrong, "--method", "Mine"),
        ):
            line = refused_at_once(*words)
            assert line.endswith(f"; did you mean {near}?"), line
        with pytest.raises(ValueError, match=f"found nothing; did you mean {near}\\?$"):
            load_encoder(wrong)
    suite = ("benchmark", "--suite", "table1", "--resume", "suites/tabel1-small")
    assert refused_at_once(*suite).endswith("; did you mean suites/table1-small?")
    assert refused_at_once("compare", "suites/tabel1").endswith("mean suites/table1-small?")
    assert "; check the name" in refused_at_once("benchmark", "--resume", "elsewhere")
    assert refused_at_once("compare", "elsewhere").endswith("; check the name")


@pytest.mark.slow
def test_submissions_and_boards(here: Path) -> None:
    make_submission(here / "submissions")
    for wrong, near in (
        ("subm", "submissions"),
        (f"submissions/{NAME[:-2]}", f"submissions/{NAME}"),
    ):
        assert refused_at_once("leaderboard", "check", wrong).endswith(f"; did you mean {near}?")
    with pytest.raises(ValueError, match=f"a folder of submissions, such as '{NAME}'; give one"):
        SubmissionFolder(here / "submissions")
    (here / "board" / "entries").mkdir(parents=True)
    line = refused_at_once("leaderboard", "entries", "--board", "borad")
    assert line.endswith("; did you mean board?")


def test_files_of_masks(here: Path) -> None:
    (here / "data").mkdir()
    there = make_pickle(here / "data", [4, 4]).relative_to(here)
    for wrong in ("data/kitti_peds_v2.pickl", "data/kitti.pickle", "kitti_peds_v2.pickle"):
        line = refused_at_once("benchmark", "--source", "kitti", "--data", wrong)
        assert line.endswith(f"; did you mean {there}?"), line


def test_what_may_not_be_read_is_not_named(here: Path) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(path)

    (here / "r1").mkdir()
    assert nearest_path(Path("r2"), refuse) is None
    assert nearest_path(Path("r2"), Path.is_dir) == Path("r1")
    assert nearest_path(Path("nowhere/r2"), Path.is_dir, Path("absent")) is None
