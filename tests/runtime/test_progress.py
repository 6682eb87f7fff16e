"""What long work says of itself: counts, rates and times that are true."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import DRAFT, cli
from threedident.runtime import progress as progress_module
from threedident.runtime.progress import megabytes, progress, spell_time

RATE = re.compile(r"[0-9.e+]+ \w+/s")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.25, "0.2 s"),
        (3.4, "3.4 s"),
        (45.2, "45 s"),
        (119, "2 min"),
        (7500, "2 h 5 min"),
        (47 * 3600, "47 h 0 min"),
        (90 * 3600, "3 days 18 h"),
    ],
)
def test_durations_are_spelled_for_people(seconds: float, words: str) -> None:
    assert spell_time(seconds) == words


def test_counts_begin_where_an_earlier_run_stopped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "PERIOD_S", 0.0)
    with progress("train seed 0", 200, "steps") as advance:
        advance.skip(180)
        for _ in range(5):
            advance()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[3] for line in lines] == [f"{n}/200" for n in range(181, 186)]


def test_the_rate_is_that_of_new_work(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 0.0, 10.0, 10.0])
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock, 10.0))
    monkeypatch.setattr(progress_module, "PERIOD_S", 0.0)
    with progress("pack", 1000, "images") as advance:
        advance.skip(900)
        advance(50)
    assert "950/1000 images, 5 images/s, 10 s left" in capsys.readouterr().err


def test_where_nothing_was_to_do_there_is_no_rate(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("pack train", 4000, "images") as advance:
        advance.skip(4000)
    with progress("check", 3, "images") as advance:
        advance(3)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "pack train: 4000/4000 images, nothing to do"
    assert second == "check: 3/3 images, 0 s left"


def test_a_download_counts_on_from_what_is_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "PERIOD_S", 0.0)
    with megabytes("fetch", 10_000_000, there=7_000_000) as count:
        count(2_000_000)
        count(1_000_000)
    counts = [line.split()[1] for line in capsys.readouterr().err.splitlines()]
    assert counts == ["9/10", "10/10"]


@pytest.mark.slow
def test_packing_again_names_no_rate(rendered: Path, tmp_path: Path) -> None:
    data = shutil.copytree(rendered, tmp_path / "data")
    results = [cli("pack", data) for _ in range(2)]
    assert all(result.returncode == 0 for result in results)
    assert "pack train: 12/12 images, nothing to do" in results[1].stderr
    assert not RATE.search(results[1].stderr)


@pytest.mark.slow
def test_what_is_drawn_aside_names_no_temporary_folder(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    out = tmp_path / "traversal.png"
    result = cli("traverse", out, *DRAFT, env={"TMPDIR": str(folder)})
    assert result.returncode == 0, result.stderr
    assert str(folder) not in result.stdout + result.stderr
    assert "traversal: 40 images of 32 x 32 pixels to render" in result.stderr
    assert out.is_file()
    assert not list(folder.iterdir())
