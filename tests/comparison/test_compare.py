"""Finished runs side by side: which are ranked together, in which order, and what is said."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmark.comparison.comparison import differing_settings, on_one_split, ranked, scored_on
from benchmark.comparison.figure import dots
from benchmark.runs.finished import Finished, find_runs
from tests.conftest import cli, command, contents, done_at_once, refused_at_once

NORMAL = {"name": "normal", "sigma": 0.1}
IMAGES = {
    "kind": "images",
    "pairs": "nearest",
    "anchor": "row",
    "conditional": NORMAL,
    "data": {"train": "a" * 64, "test": "b" * 64},
    "resolution": 16,
}
MIXING = {
    "kind": "mixing",
    "factors": 3,
    "space": "box",
    "marginal": "uniform",
    "conditional": NORMAL,
}
MASKS = {"kind": "kitti", "data": "c" * 64, "max_distance": 1, "paired": True}
# as version 0.1.0 wrote it, beside the source
EARLY = {
    "encoder": "conv",
    "loss": "l2",
    "output_space": "box",
    "extent": 10.0,
    "temperature": 1.0,
    "symmetric": False,
    "learned_scales": False,
    "steps": 40,
    "batch_size": 32,
    "learning_rate": 0.001,
    "schedule": "constant",
    "warmup": 0,
    "precision": "float32",
    "eval_every": 4,
    "protocol": "held-out",
}


def write_run(
    path: Path, mcc: list[float], source: dict[str, Any] = IMAGES, r2: float = 0.5, **config: Any
) -> Path:
    """The folder of a finished run, as far as it is read."""
    path.mkdir(parents=True)
    whole = {"source": source, **EARLY, "seeds": list(range(len(mcc))), **config}
    (path / "config.json").write_text(json.dumps(whole))
    scores = {
        "mcc": float(np.mean(mcc)),
        "mcc_sd": float(np.std(mcc, ddof=1)) if len(mcc) > 1 else None,
        "r2": r2,
        "r2_sd": None,
        "untrained": {"mcc": 0.2, "r2": 0.1},
        "rows": 120,
        "seeds": [{"trained": {"mcc": value, "r2": r2}} for value in mcc],
    }
    (path / "scores.json").write_text(json.dumps(scores))
    return path


def table(*arguments: object, to: Path) -> list[dict[str, str]]:
    done_at_once("compare", *arguments, "--csv", to)
    return list(csv.DictReader(io.StringIO(to.read_text())))


@pytest.mark.slow
def test_a_real_run_is_shown_as_it_was_scored(finished: Path, tmp_path: Path) -> None:
    [row] = table(finished, to=tmp_path / "runs.csv")
    scores = json.loads((finished / "scores.json").read_text())
    for name in ("mcc", "mcc_sd", "r2", "r2_sd"):
        assert float(row[name]) == scores[name]
    assert float(row["untrained_mcc"]) == scores["untrained"]["mcc"]
    assert (row["rank"], row["seeds"], row["steps"]) == ("1", "2", "40")


def test_the_best_comes_first_by_either_score_and_equals_share_a_place(tmp_path: Path) -> None:
    for name, mcc, r2 in (("a", 0.5, 0.9), ("b", 0.7, 0.1), ("c", 0.7, 0.2), ("d", 0.6, 0.9)):
        write_run(tmp_path / "runs" / name, [mcc], r2=r2)
    place = tmp_path / "runs.csv"
    runs = sorted((tmp_path / "runs").iterdir(), reverse=True)
    rows = table(*runs, to=place)
    assert [Path(row["run"]).name for row in rows] == ["b", "c", "d", "a"]
    assert [row["rank"] for row in rows] == ["1", "1", "3", "4"]
    rows = table(*runs, "--by", "r2", to=place)
    assert [Path(row["run"]).name for row in rows] == ["a", "d", "c", "b"]


def test_only_settings_that_differ_are_shown(tmp_path: Path) -> None:
    laplace = {**IMAGES, "conditional": {"name": "laplace", "sigma": 0.1}}
    alone = {**IMAGES, "pairs": None, "anchor": None, "conditional": None}
    wider = {**IMAGES, "data": {"train": "d" * 64, "test": "b" * 64}}
    write_run(tmp_path / "runs" / "a", [0.9])
    write_run(tmp_path / "runs" / "b", [0.8, 0.7], laplace, loss="l1", steps=80, eval_every=8)
    write_run(tmp_path / "runs" / "c", [0.6], alone, loss="supervised", temperature=None)
    write_run(tmp_path / "runs" / "d", [0.5], wider)
    found, remarks = find_runs([tmp_path / "runs"])
    assert not remarks
    assert differing_settings(found) == {
        "pairs": ["nearest", "nearest", "-", "nearest"],
        "anchor": ["row", "row", "-", "row"],
        "conditional": ["normal", "laplace", "-", "normal"],
        "sigma": ["0.1", "0.1", "-", "0.1"],
        "train data": ["aaaaaaaa", "aaaaaaaa", "aaaaaaaa", "dddddddd"],
        "loss": ["l2", "l1", "supervised", "l2"],
        "temperature": ["1", "1", "-", "1"],
    }
    shown = done_at_once("compare", *(run.path for run in found[:2]))
    header = shown.splitlines()[2]
    assert "conditional" in header
    assert "loss" in header
    assert "encoder" not in header
    assert "0.750 ± 0.071" in shown
    assert "0.900  " in shown


@pytest.mark.slow
def test_a_narrow_terminal_has_names_and_settings_below(tmp_path: Path) -> None:
    """On a terminal of 80 columns no line is wider, and no number is lost."""
    for number, loss in enumerate(("l1", "l2", "dot")):
        name = f"nearest-resnet18-{loss}-box-normal-1a2b3c"
        write_run(tmp_path / name, [0.8 - number / 10, 0.81 - number / 10], loss=loss)
    ours, theirs = pty.openpty()
    line = command("compare", *sorted(path.name for path in tmp_path.iterdir()))
    env = {**os.environ, "TERM": "dumb", "COLUMNS": "90"}
    try:
        subprocess.run(line, cwd=tmp_path, stdout=theirs, env=env, check=True)
        shown = os.read(ours, 16_384).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert max(map(len, shown.splitlines())) <= 90
    for words in ("0.805 ± 0.007", "0.605 ± 0.007", "-0.230 to -0.170"):
        assert words in shown
    assert "3 nearest-resnet18-dot-box-normal-1a2b3c: loss dot" in shown


@pytest.mark.slow
def test_differences_within_the_spread_of_seeds_are_marked(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "best", [0.80, 0.84, 0.82])
    write_run(tmp_path / "runs" / "level", [0.79, 0.83, 0.81])
    write_run(tmp_path / "runs" / "behind", [0.50, 0.54, 0.52])
    write_run(tmp_path / "runs" / "once", [0.1])
    found, _ = find_runs([tmp_path / "runs"])
    places = {place.run.path.name: place for place in ranked(found, "mcc")}
    assert list(places) == ["best", "level", "behind", "once"]
    assert places["best"].interval is places["once"].interval is None
    assert places["level"].level_with_best
    assert not places["behind"].level_with_best
    interval = places["behind"].interval
    assert interval is not None
    # equal variances and sizes: Student's t of four degrees of freedom, 2.776
    reach = 2.7764 * np.sqrt(2 * 0.02**2 / 3)
    assert interval == pytest.approx((-0.3 - reach, -0.3 + reach), abs=1e-4)
    shown = done_at_once("compare", tmp_path / "runs")
    assert "MCC minus best, 95 %" in shown
    assert shown.count("~") == 2  # the row, and what it means
    assert "this run may be as good as the best" in shown


def test_runs_of_several_test_splits_are_not_ranked_together(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_run(runs / "a", [0.9])
    write_run(runs / "b", [0.8], {**IMAGES, "data": {"train": "a" * 64, "test": "e" * 64}})
    write_run(runs / "c", [0.7], protocol="published")
    write_run(runs / "c2", [0.7], protocol="published", protocol_version=2)
    write_run(runs / "c3", [0.7], score_on="train")
    write_run(runs / "d", [0.6], MIXING)
    write_run(runs / "e", [0.5], {**MIXING, "factors": 4})
    write_run(runs / "f", [0.4], {**MIXING, "space": "sphere"})
    write_run(runs / "g", [0.3], {**MIXING, "marginal": "normal"})
    write_run(runs / "h", [0.2], MASKS)
    write_run(runs / "i", [0.1], {**MIXING, "conditional": None}, loss="supervised")
    line = refused_at_once("compare", runs)
    groups = {
        "images-bbbbbbbb": 1,
        "images-eeeeeeee": 1,
        "images-bbbbbbbb-published-1": 1,
        "images-bbbbbbbb-published": 1,
        "images-aaaaaaaa-train": 1,
        "mixing-3-box-uniform": 2,
        "mixing-4-box-uniform": 1,
        "mixing-3-sphere-uniform": 1,
        "mixing-3-box-normal": 1,
        "kitti-cccccccc": 1,
    }
    listed = ", ".join(f"{name} ({count})" for name, count in groups.items())
    assert f"found 10: {listed}; compare each group separately: add --on images-bbbb" in line
    for name, count in groups.items():
        assert len(table(runs, "--on", name, to=tmp_path / "runs.csv")) == count
    line = refused_at_once("compare", runs, "--on", "mixing-3-box-unifrom")
    assert "did you mean 'mixing-3-box-uniform'?" in line


@pytest.mark.slow
def test_suites_give_their_rows_and_the_rest_is_named(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_run(runs / "alone", [0.9])
    write_run(runs / "suite" / "one", [0.8])
    write_run(runs / "suite" / "two", [0.7])
    (runs / "suite" / "logs").mkdir()
    (runs / "suite" / "table.csv").write_text("")
    (write_run(runs / "begun", [0.6]) / "scores.json").unlink()
    (write_run(runs / "cut", [0.6]) / "scores.json").write_text('{"mcc": 0.')
    (write_run(runs / "bare", [0.6]) / "scores.json").write_text('{"mcc": NaN, "r2": null}')
    (write_run(runs / "nested", [0.6]) / "scores.json").write_text("[" * 100_000)
    (write_run(runs / "foreign", [0.6]) / "config.json").write_text("{}")
    (runs / "letters").mkdir()
    (runs / "notes.txt").write_text("")
    before = contents(runs)
    result = cli("compare", *sorted(runs.iterdir()), runs / "alone", runs)
    assert result.returncode == 0, result.stderr
    notes = [line for line in result.stderr.splitlines() if line.startswith("note: ")]
    assert len(notes) == len(result.stderr.splitlines()) == 7
    for words in (
        f"{runs / 'begun'}: a run that has not ended; threedident benchmark --resume",
        f"{runs / 'cut' / 'scores.json'}: no scores, but a damaged file",
        f"{runs / 'nested' / 'scores.json'}: no scores, but a damaged file",
        f"{runs / 'bare' / 'scores.json'}: no scores, but a damaged file",
        f"{runs / 'foreign' / 'config.json'}: expected the configuration of a run",
        f"{runs / 'letters'}: no run, but a folder",
        f"{runs / 'notes.txt'}: no run, but a file",
    ):
        assert sum(words in note for note in notes) == 1
    names = [line.split()[1] for line in result.stdout.splitlines() if "/runs/" in line]
    assert names == [str(runs / name) for name in ("alone", "suite/one", "suite/two")]
    assert contents(runs) == before


def test_what_cannot_be_compared_takes_one_line(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [0.5])
    line = refused_at_once("compare", run, tmp_path / "nothing")
    assert "nothing: expected a run's folder, found nothing; check the name" in line
    line = refused_at_once("compare", run, "--picture", tmp_path / "runs.jpg")
    assert "--picture: expected a name that ends in .png" in line
    (run / "scores.json").unlink()
    line = refused_at_once("compare", run)
    assert "runs: expected a finished run, found none" in line


@pytest.mark.slow
def test_values_that_are_not_there_are_dashes(tmp_path: Path) -> None:
    (write_run(tmp_path / "runs" / "a", [0.5]) / "scores.json").write_text('{"mcc": 0.5}')
    (write_run(tmp_path / "runs" / "b", [0.5]) / "scores.json").write_text('{"r2": 0.5}')
    rows = table(tmp_path / "runs", to=tmp_path / "runs.csv")
    assert [(row["rank"], row["mcc"], row["r2"]) for row in rows] == [
        ("1", "0.5", ""),
        ("", "", "0.5"),
    ]
    first, second = done_at_once("compare", tmp_path / "runs").splitlines()[-2:]
    assert first.split()[-4:] == ["0.500", "-", "-", "-"]
    assert second.split()[-4:] == ["-", "0.500", "-", "-"]
    assert dots(ranked(find_runs([tmp_path / "runs"])[0], "mcc"))


def test_a_place_where_nothing_can_be_written_is_named_before_any_work(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [0.5])
    for option, name in (("--csv", "x.csv"), ("--picture", "x.png")):
        place = tmp_path / "nowhere" / name
        assert refused_at_once("compare", run, option, place).endswith(
            f"{option}: expected {place} in a folder that exists, found none; create "
            f"{place.parent}"
        )
        assert f"found the folder {run};" in refused_at_once("compare", run, option, run)
    sheet = tmp_path / "nowhere" / "sheet.png"
    assert "--out: expected" in refused_at_once("preview", tmp_path / "data", "--out", sheet)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def set_scores(run: Path, **values: Any) -> None:
    """Change what a run's ``scores.json`` says; None takes the entry away."""
    path = run / "scores.json"
    scores = json.loads(path.read_text()) | values
    path.write_text(
        json.dumps({name: value for name, value in scores.items() if value is not None})
    )


def test_the_heading_has_the_rows_of_the_first_run_that_tells_them(tmp_path: Path) -> None:
    set_scores(write_run(tmp_path / "runs" / "early", [0.9]), rows=None)
    write_run(tmp_path / "runs" / "late", [0.5])
    heading, *_ = done_at_once("compare", tmp_path / "runs").splitlines()
    assert heading.endswith(", 120 rows, protocol held-out")
    set_scores(tmp_path / "runs" / "late", rows=None)
    heading, *_ = done_at_once("compare", tmp_path / "runs").splitlines()
    assert heading.endswith(", - rows, protocol held-out")


@pytest.mark.slow
def test_runs_whose_rows_are_few_are_named_in_one_line(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for name, codes in (("a", 10), ("b", 10), ("c", 6), ("d", 10)):
        trained = {"mcc": 0.5, "r2": 0.5, "correlation": [[0.1] * codes]}
        rows = None if name == "d" else 120
        set_scores(write_run(runs / name, [0.5]), seeds=[{"trained": trained}], rows=rows)
    result = cli("compare", runs)
    assert result.returncode == 0
    [note] = result.stderr.splitlines()
    assert note.startswith(f"note: {runs / 'a'}, {runs / 'b'}: 120 rows are few for 10 codes")


def test_the_picture_has_a_line_for_each_run(tmp_path: Path) -> None:
    heights = []
    for count in (1, 5):
        runs = tmp_path / str(count)
        for number in range(count):
            write_run(runs / f"run-{number}", [0.5, 0.6], r2=-0.2)
        picture = tmp_path / f"{count}.png"
        done_at_once("compare", runs, "--picture", picture)
        with Image.open(picture) as image:
            heights.append(image.height)
    assert heights[1] - heights[0] > 4 * 30


@pytest.mark.slow
def test_a_run_is_compared_with_a_copy_of_itself(finished: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(finished, tmp_path / "copy")
    found, _ = find_runs([finished, copy, finished])
    assert len(found) == 2
    assert scored_on(found[0].config) == scored_on(found[1].config)
    places = ranked(on_one_split(found), "mcc")
    assert [place.rank for place in places] == [1, 1]
    assert differing_settings(found) == {}
    assert all(isinstance(place.run, Finished) for place in places)


def test_compare_has_help_with_an_example() -> None:
    assert "threedident compare runs/*" in done_at_once("compare", "--help")
