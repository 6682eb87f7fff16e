"""Runs with metrics of one's own, and what stands beside their scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import cli
from tests.small_runs import ONE_THREAD, SMALL

pytestmark = pytest.mark.slow

METRICS = """
def good(latents, codes, *, seed):
    return {"rows": len(codes), "means": codes.mean(axis=0)}

def bad(latents, codes, *, seed):
    raise RuntimeError("no luck")

good.domain = lambda latents, codes: ["codes are few"]
"""


def test_a_run_keeps_its_training_whatever_its_metrics_do(coloured: Path, tmp_path: Path) -> None:
    (tmp_path / "my_metrics.py").write_text(METRICS)
    out = tmp_path / "run"
    line = ("benchmark", "--data", coloured, "--out", out, *SMALL, "--steps", 4)
    names = ("--metric", "my_metrics:good", "--metric", "my_metrics:bad")
    done = cli(*line, *names, env=ONE_THREAD, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "seed 0: codes are few" in done.stderr
    assert "metric my_metrics:bad: expected numbers by name, found RuntimeError" in done.stderr
    scores = json.loads((out / "scores.json").read_text())
    [seed] = scores["seeds"]
    good, bad = seed["own"]["my_metrics:good"], seed["own"]["my_metrics:bad"]
    assert good["values"]["rows"] == scores["rows"]
    assert len(good["values"]["means"]) == 10
    assert bad["values"] == {}
    assert "no luck" in (out / "report.html").read_text()
    assert json.loads((out / "config.json").read_text())["metric"] == list(names[1::2])
    again = cli("benchmark", "--resume", out, env=ONE_THREAD, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert json.loads((out / "scores.json").read_text()) == scores
    by_batch = scores["untrained_batch_statistics"]
    assert by_batch.keys() == {"r2", "mcc", "mcc_spearman"}
    assert by_batch["r2"] != scores["untrained"]["r2"]
    assert scores["beside_mcc"]["null_level"] == seed["mcc_context"]["null_level"]
    assert seed["blocks"]["groups"] == ["position", "rotation", "spotlight", "hue"]


def test_a_metric_that_does_not_exist_is_refused_before_training(
    coloured: Path, tmp_path: Path
) -> None:
    line = ("benchmark", "--data", coloured, "--out", tmp_path / "run", *SMALL, "--steps", 4)
    done = cli(*line, "--metric", "nowhere_at_all:f", env=ONE_THREAD, cwd=tmp_path)
    assert done.returncode == 2
    assert "metric: expected nowhere_at_all:f to be importable" in done.stderr
    assert not (tmp_path / "run").exists()
