"""Whole runs on sources of users: to the end, after a failure, side by side, and loaded."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import threedident
from tests.conftest import cli, done_at_once, refused_at_once
from tests.small_runs import ONE_THREAD, results
from tests.sources.custom.spirals import N_TEST, PATH, Spirals

pytestmark = pytest.mark.slow

TINY = ("--steps", 12, "--batch-size", 64, "--learning-rate", "1e-3", "--device", "cpu")
LINE = ("benchmark", "--source", PATH, *TINY)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On one thread, results are the same to the last bit."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with an undisturbed run, ``whole``."""
    folder = tmp_path_factory.mktemp("runs")
    done_at_once(*LINE, "--out", folder / "whole")
    return folder


def test_a_run_ends_with_scores_and_a_report(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    more = ("--steps", 150, "--learning-rate", "3e-3", "--batch-size", 256)
    done = done_at_once(*LINE, *more, "--out", out, drawn=True)
    assert "spirals; run in" in done
    scores = json.loads((out / "scores.json").read_text())
    assert scores["factors"] == ["radius", "angle"]
    assert scores["rows"] == N_TEST
    assert scores["mcc"] > scores["untrained"]["mcc"]
    report = (out / "report.html").read_text()
    assert PATH in report
    config = json.loads((out / "config.json").read_text())["source"]
    assert (config["kind"], config["name"]) == ("custom", PATH)
    whole = json.loads((runs / "whole" / "config.json").read_text())["source"]
    assert whole == config


@pytest.mark.parametrize("step", [0, 7])
def test_a_run_goes_on_after_its_source_failed_and_ends_with_the_same_bits(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    out = tmp_path / "run"
    with monkeypatch.context() as broken:
        broken.setattr("benchmark.sources.custom.checked.CheckedSource.try_batches", passed)
        broken.setattr(Spirals, "broken_at", step)
        said = refused_at_once(*LINE, "--out", out)
    assert f"expected the batch of step {step} of {PATH}, found OSError: no more spirals" in said
    assert f"seed 0 is saved at step {step} of 12; the same command with --resume" in said
    assert torch.load(out / "checkpoints" / "seed-0.pt")["step"] == step
    done_at_once(*LINE, "--out", out, "--resume")
    assert results(out) == results(runs / "whole")


def passed(*_: object) -> None:
    """Check nothing."""


def test_a_run_in_a_process_of_its_own_has_the_same_bits(runs: Path, tmp_path: Path) -> None:
    shutil.copy(Path(sys.modules[Spirals.__module__].__file__ or ""), tmp_path / "arms.py")
    line = ("benchmark", "--source", "arms:Spirals", *TINY, "--out", tmp_path / "run")
    done = cli(*line, env=ONE_THREAD, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found, expected = results(tmp_path / "run"), results(runs / "whole")
    del found["scores.json"], expected["scores.json"]  # their seals hold the import path
    assert found == expected


def test_the_command_may_be_given_again_however_its_arguments_were_spelt(tmp_path: Path) -> None:
    line = (*LINE, "--steps", 1, "--source-option", "sigma=1,turns=2", "--out", tmp_path / "run")
    done_at_once(*line)
    done_at_once(*line, "--resume")
    done_at_once("benchmark", "--resume", tmp_path / "run", "--device", "cpu")
    other = [str(word).replace("sigma=1", "sigma=2") for word in line]
    said = refused_at_once(*other, "--resume")
    assert "source_option ('sigma=1.0', 'turns=2') where ('sigma=2.0', 'turns=2')" in said


def test_runs_are_ranked_together_if_their_sources_are_identified_alike(
    runs: Path, tmp_path: Path
) -> None:
    for name, option in (("wide", "sigma=0.3"), ("other", "turns=2")):
        line = ("--steps", 1, "--source-option", option, "--out", tmp_path / name)
        done_at_once(*LINE, *line)
    whole = runs / "whole"
    table = done_at_once("compare", whole, tmp_path / "wide")
    assert "scored on custom-" in table
    assert "source option" in table
    said = refused_at_once("compare", whole, tmp_path / "other")
    assert "expected all on one test split and protocol, found 2: custom-" in said


def test_an_encoder_opens_without_module_and_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, data = tmp_path / "gone_soon.py", tmp_path / "held.txt"
    module.write_text(f"from {Spirals.__module__} import Spirals\n")
    data.write_text("held")
    monkeypatch.chdir(tmp_path)
    line = ("--source", "gone_soon:Spirals", "--data", data, "--out", tmp_path / "run")
    done_at_once("benchmark", *TINY, "--steps", 2, *line)
    module.unlink()
    data.unlink()
    monkeypatch.delitem(sys.modules, "gone_soon")
    encoder = threedident.load_encoder(tmp_path / "run")
    assert (encoder.shape, encoder.labels, encoder.codes) == ((3,), ("radius", "angle"), 2)
    source = Spirals()
    rows = source.draw(source.latents(0).astype(np.float64))
    expected = np.load(tmp_path / "run" / "representations" / "seed-0.npy")
    np.testing.assert_allclose(encoder(rows).numpy(), expected, atol=1e-5)
    with pytest.raises(ValueError, match="expected float32, found float64"):
        encoder(rows.double())
    said = refused_at_once("benchmark", "--resume", tmp_path / "run", "--device", "cpu")
    assert "held.txt: expected the data of" in said


def test_a_supervised_run_reads_the_latents(tmp_path: Path) -> None:
    more: tuple[Any, ...] = ("--loss", "supervised", "--learning-rate", "3e-3", "--steps", 60)
    done_at_once(*LINE, *more, "--out", tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["output_space"] == "unbounded"
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["r2"] > scores["untrained"]["r2"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("--source", f"{PATH[:-7]}Faulty", "--source-option", "fault=order"), "seed and step"),
        (("--source", f"{PATH[:-7]}Faulty", "--source-option", "fault=nan"), "found NaN"),
        (("--source", f"{PATH[:-7]}Faulty", "--loss", "supervised"), "expected no positives"),
        (("--encoder", "conv"), "expected images for conv, found observations of shape (3,)"),
        (("--loss", "diet"), "expected a source whose anchors are numbered rows for diet"),
        (("--conditional", "laplace"), "--conditional: expected with --source nearest or mixing"),
        (("--data", "held.txt", "--source", f"{PATH[:-7]}Unstated"), "an argument data"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused_before_a_file_is_written(
    tmp_path: Path, line: tuple[str, ...], words: str
) -> None:
    assert words in refused_at_once(*LINE, *line, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_fault_in_scoring_keeps_the_checkpoint(tmp_path: Path) -> None:
    faulty = ("--source", f"{PATH[:-7]}Faulty", "--source-option", "fault=few test rows")
    said = refused_at_once(*LINE, *faulty, "--out", tmp_path / "run")
    assert f"expected {N_TEST} observations from held_out, found {N_TEST - 1}" in said
    assert "seed 0 is saved at step 0 of 12" in said


def test_a_run_on_it_cannot_be_submitted(runs: Path, tmp_path: Path) -> None:
    line = ("--method", "Mine", "--licence", "MIT", "--out", tmp_path / "submission")
    said = refused_at_once("leaderboard", "submit", runs / "whole", *line)
    assert f"expected a run on rendered images, found one on {PATH}, for which no fresh" in said
