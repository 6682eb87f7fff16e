"""Runs that go on from their folder alone."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from benchmark.cli import benchmark
from benchmark.ranks import Ranks
from benchmark.runs.options import Options
from benchmark.training.folder import RunFolder
from benchmark.training.log import last_data, logged, read_work
from tests.conftest import cli, done_at_once, refused_at_once
from tests.small_runs import ONE_THREAD, SMALL, results

pytestmark = pytest.mark.slow

MACHINE = ("--device", "cpu", "--workers", 0)
TINY = ("--source", "mixing", "--factors", 3, "--batch-size", 16, "--steps", 2)

# as a run of version 0.1.0 wrote it, before runs could go on from their folder alone
EARLY = """{
  "source": {
    "kind": "mixing",
    "factors": 3,
    "space": "box",
    "marginal": "uniform",
    "conditional": {"name": "normal", "sigma": 0.05}
  },
  "encoder": "mlp",
  "loss": "l2",
  "output_space": "box",
  "extent": 10.0,
  "temperature": 1.0,
  "symmetric": false,
  "learned_scales": false,
  "steps": 2,
  "batch_size": 16,
  "learning_rate": 0.0001,
  "schedule": "constant",
  "warmup": 0,
  "precision": "float32",
  "eval_every": 1,
  "protocol": "held-out",
  "seeds": [0]
}
"""


def early_run(folder: Path) -> Path:
    """A run that was killed as soon as it had begun."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(EARLY)
    return folder


@pytest.mark.parametrize("named", [True, False])
def test_a_run_goes_on_from_its_folder_alone(finished: Path, tmp_path: Path, named: bool) -> None:
    again = shutil.copytree(finished, tmp_path / "run")
    (again / "scores.json").unlink()
    line = ("--resume", again) if named else ("--out", again, "--resume")
    result = cli("benchmark", *line, *MACHINE, env=ONE_THREAD)
    assert result.returncode == 0, result.stderr
    assert results(again) == results(finished)


def test_a_run_of_an_early_version_goes_on(tmp_path: Path) -> None:
    folder = early_run(tmp_path / "run")
    done_at_once("benchmark", "--resume", folder, *MACHINE)
    assert json.loads((folder / "config.json").read_text()) == json.loads(EARLY)
    assert (folder / "report.html").is_file()


def test_a_run_by_the_early_published_protocol_is_refused(tmp_path: Path) -> None:
    folder = early_run(tmp_path / "run")
    text = EARLY.replace('"protocol": "held-out"', '"protocol": "published"')
    (folder / "config.json").write_text(text)
    line = refused_at_once("benchmark", "--resume", folder, *MACHINE)
    assert "version 1, which changed scores alone and can be read and compared, but not" in line


def test_given_options_must_be_those_of_the_run(tmp_path: Path) -> None:
    folder = early_run(tmp_path / "run")
    changed = {
        ("--seeds", "0,1,2"): "seeds (0,) where (0, 1, 2) is asked for",
        ("--steps", 3): "steps 2 where 3 is asked for",
        ("--loss", "supervised"): "loss l2 where supervised is asked for",
        ("--source", "nearest"): "source mixing where nearest is asked for",
        ("--symmetric", "--sigma", 1): "sigma 0.05 where 1.0 is asked for, symmetric False where",
    }
    for arguments, words in changed.items():
        line = refused_at_once("benchmark", "--resume", folder, *arguments)
        assert f"{folder}: it holds a run with {words}" in line
    same = ("--seeds", 0, "--steps", 2, "--sigma", 0.05, "--extent", 10, "--space", "box")
    done_at_once("benchmark", "--resume", folder, *same, *MACHINE)


@pytest.mark.parametrize("again", ["normal:0.30", "normal:0.2"])
def test_a_run_by_pairs_of_one_law_goes_on_under_the_same_command(
    again: str, coloured: Path, tmp_path: Path
) -> None:
    """As ``make demo`` does when it is called twice."""
    line = ("benchmark", "--data", coloured, *SMALL, "--steps", 2, "--out", tmp_path / "run")
    done_at_once(*line, "--pairs", "normal:0.3", "--resume")
    line = (*line, "--pairs", again, "--resume")
    if again == "normal:0.30":
        done_at_once(*line)
    else:
        assert "it holds a run with sigma 0.3 where 0.2 is asked for" in refused_at_once(*line)


def test_data_that_were_moved_are_asked_for_and_their_digests_decide(
    coloured: Path, finished: Path, tmp_path: Path
) -> None:
    again = shutil.copytree(finished, tmp_path / "run")
    away = tmp_path / "away"
    log = again / "work.jsonl"
    log.write_text(log.read_text().replace(str(coloured.resolve()), str(away)))
    line = refused_at_once("benchmark", "--resume", again, *MACHINE)
    assert f"{away}: expected the data of {again} there, found nothing; say with --data" in line
    other = shutil.copytree(coloured, tmp_path / "other")
    (other / "train" / "raw_latents.npy").write_bytes(
        (coloured / "train" / "raw_latents.npy").read_bytes()[:-1] + b"\x3e"
    )
    line = refused_at_once("benchmark", "--resume", again, "--data", other, *MACHINE)
    assert "it holds a run with source.data.train" in line
    done_at_once("benchmark", "--resume", again, "--data", coloured, *MACHINE)
    assert last_data(log) == coloured.resolve()


def test_the_place_of_the_data_is_known_from_the_first_step_on(tmp_path: Path) -> None:
    log = tmp_path / "work.jsonl"
    assert last_data(log) is None
    with logged(log, 3, tmp_path, torch.device("cpu"), Ranks()):
        assert last_data(log) == tmp_path.resolve()
    work = read_work(log, 3)
    assert work is not None
    assert "thread" in work.hardware


def test_damaged_lines_of_the_log_are_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "work.jsonl"
    whole = {"seed": 0, "seconds": 1.0, "hardware": "a chip", "data": "/data/here"}
    log.write_text(json.dumps(whole) + '\n[1]\n{"seed": 0, "seconds": 0.0, "hardw')
    assert last_data(log) == Path("/data/here")
    work = read_work(log, 0)
    assert work is not None
    assert work.seconds == 1.0


def test_what_is_no_run_takes_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "letters").mkdir()
    for name, found in (
        ("nothing", "nothing"),
        ("file", "a file"),
        ("letters", "a folder"),
    ):
        line = refused_at_once("benchmark", "--resume", tmp_path / name)
        assert f"expected the folder of a run to go on with, found {found}" in line
        assert f"check the name, or give --out {tmp_path / name} and all options" in line
    early_run(tmp_path / "suite" / "row")
    for place in (("--resume", tmp_path / "suite"), ("--out", tmp_path / "suite", "--resume")):
        line = refused_at_once("benchmark", *place)
        assert "found a folder of 1 run, such as row; give one of them, or add --suite" in line
    line = refused_at_once("benchmark", "--suite", "table2", "--resume", tmp_path / "letters")
    assert "expected the folder of a suite to go on with, found no rows" in line
    damaged = early_run(tmp_path / "damaged")
    (damaged / "config.json").write_text(EARLY[:-20])
    line = refused_at_once("benchmark", "--resume", damaged)
    assert "config.json: expected the configuration of a run, found a damaged file" in line
    line = refused_at_once("benchmark", "--resume", "a", "--out", "b")
    assert "--resume: expected the run of --out, b, found a; give one of them" in line
    assert "expected a run's folder, found no name" in refused_at_once("benchmark", "--resume=")


@pytest.mark.parametrize(
    ("arguments", "resume", "tensorboard", "out"),
    [
        (("--resume", "--tensorboard"), True, True, None),
        (("--tensorboard", "--resume"), True, True, None),
        (("--resume", "--out", "new"), True, False, "new"),
        (("--out", "new", "--resume"), True, False, "new"),
        (("--out", "new"), False, False, "new"),
    ],
    ids=str,
)
def test_resume_takes_a_run_or_none(
    arguments: tuple[str, ...],
    resume: bool,
    tensorboard: bool,
    out: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[Any] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmark.cli.carry_out", lambda *found: heard.append(found))
    result = CliRunner().invoke(benchmark, arguments)
    assert result.exit_code == 0, result.output
    [(options, _, resumed, logged, _)] = heard
    assert isinstance(options, Options)
    assert (resumed, logged) == (resume, tensorboard)
    assert options.out == (None if out is None else Path(out))


def test_usual_names_tell_settings_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for rate in ("1e-3", "1e-4"):
        done_at_once("benchmark", *TINY, "--learning-rate", rate, *MACHINE)
    names = sorted(path.name for path in Path("runs").iterdir())
    assert len(names) == 2
    assert all(name.startswith("mixing-mlp-l2-box-normal-") for name in names)
    assert "add --resume" in refused_at_once("benchmark", *TINY, *MACHINE)
    done_at_once("benchmark", *TINY, *MACHINE, "--resume")
    assert sorted(path.name for path in Path("runs").iterdir()) == names


def test_a_run_under_an_early_name_goes_on_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = RunFolder(early_run(Path("runs/mixing-mlp-l2-box-normal")))
    done_at_once("benchmark", *TINY, *MACHINE, "--resume")
    assert [path.name for path in Path("runs").iterdir()] == [folder.path.name]
    assert folder.scores.is_file()
    done_at_once("benchmark", *TINY, *MACHINE, "--symmetric", "--resume")
    assert len(list(Path("runs").iterdir())) == 2


def test_a_run_on_images_under_an_early_name_is_refused_by_its_numbering(
    finished: Path, coloured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = json.loads((finished / "config.json").read_text())
    del config["source"]["numbering"]  # which runs did not have then
    early = Path("runs/nearest-conv-l2-box-normal")
    early.mkdir(parents=True)
    (early / "config.json").write_text(json.dumps(config))
    line = refused_at_once("benchmark", "--resume", early, "--data", coloured, *MACHINE)
    assert "expected a run whose pairs are numbered as version 2 does, found version 1" in line
    (early / "work.jsonl").write_text('{"seed": 0, "data": "/no/such/place"}\n')
    line = refused_at_once("benchmark", "--resume", early, *MACHINE)  # whatever became of the data
    assert "expected a run whose pairs are numbered as version 2 does, found version 1" in line
    asked = ("--data", coloured, *SMALL, "--steps", 40, "--seeds", "0,3", "--resume")
    line = refused_at_once("benchmark", *asked)
    assert f"{early}: expected a run whose pairs are numbered" in line


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "work.jsonl", "scores.json"])
def test_a_pipe_in_place_of_a_file_of_a_run_blocks_nobody(tmp_path: Path, name: str) -> None:
    out = tmp_path / "run"
    done_at_once("benchmark", *TINY, *MACHINE, "--out", out)
    (out / name).unlink()
    os.mkfifo(out / name)
    line = ("benchmark", *TINY, *MACHINE, "--out", out, "--resume")
    if name == "scores.json":  # which is written anew
        done_at_once(*line)
    else:
        assert f"threedident: {out}" in refused_at_once(*line)


def test_the_train_split_is_scored_without_training_again(
    coloured: Path, finished: Path, tmp_path: Path
) -> None:
    settings = ("--data", coloured, *SMALL, "--steps", 40, "--score-on", "train")
    line = ("benchmark", *settings, "--seeds", "0,3", "--trained", finished)
    taken = cli(*line, "--out", tmp_path / "taken", env=ONE_THREAD, drawn=True)
    assert taken.returncode == 0, taken.stderr
    line = ("benchmark", *settings, "--seeds", "0,3")
    trained = cli(*line, "--out", tmp_path / "trained", env=ONE_THREAD)
    assert trained.returncode == 0, trained.stderr
    found, wanted = (
        json.loads((tmp_path / name / "scores.json").read_text()) for name in ("taken", "trained")
    )
    assert found == wanted
    assert found["split"] == "train"
    rows = [RunFolder(tmp_path / name).records() for name in ("taken", "trained")]
    losses = [[row["loss"] for row in each if "loss" in row] for each in rows]
    assert losses[0] == losses[1]
    assert losses[0]

    for change, named in (("--steps=41", "steps 40 where 41"), ("--loss=l1", "loss l2 where l1")):
        words = refused_at_once(
            *("benchmark", *settings, "--seeds", "0,3", change),
            *("--trained", finished, "--out", tmp_path / "other"),
        )
        assert (
            f"--trained: expected a run that differs in --score-on at most, found {finished}"
            in words
        )
        assert named in words
    words = refused_at_once("benchmark", *settings, "--trained", coloured)
    assert "--trained: expected a finished run, found a folder without config.json" in words
    assert not (tmp_path / "other").exists()
