"""Runs that are killed, stopped or computed otherwise end with the same bits."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import cli, followed, start
from tests.small_runs import ONE_THREAD, SMALL, results, run, wait_for_step

pytestmark = pytest.mark.slow

LOSSES = [("--loss", "l2"), ("--loss", "supervised")]


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_resume_after_a_kill_equals_an_undisturbed_run(
    coloured: Path, tmp_path: Path, loss: tuple[str, str]
) -> None:
    arguments = ("--data", coloured, *SMALL, "--steps", 30, *loss)
    run(coloured, tmp_path / "whole", "--steps", 30, *loss)
    out = tmp_path / "killed"
    script = (
        "import sys, benchmark.training.loop as t; t.CHECKPOINT_PERIOD_S = 0.3;"
        "from threedident.cli import main; main(sys.argv[1:])"
    )
    line = [sys.executable, "-c", script, *map(str, ("benchmark", *arguments, "--out", out))]
    process = followed(
        subprocess.Popen(
            line,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
        )
    )
    checkpoint = out / "checkpoints" / "seed-0.pt"
    wait_for_step(checkpoint, 3)
    process.kill()
    process.wait()
    assert 3 <= torch.load(checkpoint)["step"] < 30
    run(coloured, out, "--steps", 30, *loss, "--resume")
    assert results(out) == results(tmp_path / "whole")


@pytest.fixture(scope="module")
def undisturbed(coloured: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a run of 40 steps computes."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    run(coloured, out, "--steps", 40)
    return results(out)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_save_between_two_steps(
    coloured: Path, undisturbed: dict[str, str], tmp_path: Path, number: int
) -> None:
    out = tmp_path / "run"
    process = start(
        "benchmark", "--data", coloured, *SMALL, "--steps", 40, "--out", out, env=ONE_THREAD
    )
    wait_for_step(out / "checkpoints" / "seed-0.pt", 0)
    time.sleep(0.5)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    name = "interrupted" if number == signal.SIGINT else signal.Signals(number).name
    assert f"threedident: {name}: seed 0 is saved at step" in stderr
    assert "with --resume goes on from there" in stderr
    run(coloured, out, "--steps", 40, "--resume")
    assert results(out) == undisturbed


def test_loader_processes_do_not_change_a_bit(coloured: Path, tmp_path: Path) -> None:
    for workers in (0, 2):
        run(coloured, tmp_path / str(workers), "--steps", 5, "--workers", workers)
    assert results(tmp_path / "0") == results(tmp_path / "2")


def test_packs_do_not_change_a_bit(coloured: Path, tmp_path: Path) -> None:
    packed = shutil.copytree(coloured, tmp_path / "data")
    assert cli("pack", packed, "--resolution", 8).returncode == 0
    for loss in ("l2", "supervised"):
        for root in (coloured, packed):
            out = tmp_path / loss / root.parent.name
            run(root, out, "--steps", 5, "--resolution", 8, "--loss", loss)
        ours, theirs = (results(out) for out in (tmp_path / loss).iterdir())
        assert ours == theirs


def test_a_finished_run_resumes_to_the_same_results(
    coloured: Path, finished: Path, tmp_path: Path
) -> None:
    again = shutil.copytree(finished, tmp_path / "run")
    run(coloured, again, "--steps", 40, "--seeds", "0,3", "--resume")
    assert results(again) == results(finished)


def test_interrupt_during_the_first_scores_can_be_resumed(coloured: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start(
        "benchmark", "--data", coloured, *SMALL, "--steps", 2, "--out", out, env=ONE_THREAD
    )
    while not (out / "metrics.jsonl").is_file():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "--resume goes on from there" in stderr
    run(coloured, out, "--steps", 2, "--resume")
    steps = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert steps == [0, 1, 1, 2, 2]
