"""Runs of every source from the command line to their reports."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark.config import Config
from benchmark.metrics.probes import probe
from benchmark.metrics.results import NONE
from benchmark.metrics.scores import Scores, score
from benchmark.runs.reports.report import write_results
from benchmark.sources.images import ImageSource
from benchmark.sources.splits import open_splits
from benchmark.training.folder import RunFolder
from benchmark.training.trainer import Result
from tests.conftest import cli, make_images, refused
from tests.pedestrians import make_pickle

pytestmark = pytest.mark.slow

SHARED = ("--device", "cpu", "--workers", 0, "--learning-rate", "1e-3")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def finished(out: Path, *arguments: object, drawn: bool = False) -> RunFolder:
    line = ("benchmark", "--out", out, *SHARED, *arguments)
    result = cli(*line, env=ONE_THREAD, drawn=drawn)
    assert result.returncode == 0, result.stderr
    assert out.joinpath("report.html").is_file()
    return RunFolder(out)


def test_mixed_latents_are_recovered(tmp_path: Path) -> None:
    options = ("--source", "mixing", "--factors", 3, "--sigma", 0.1, "--extent", 5)
    law = ("--conditional", "laplace", "--loss", "l1", "--schedule", "cosine", "--warmup", 50)
    folder = finished(tmp_path / "run", *options, *law, "--batch-size", 256, "--steps", 700)
    scores = json.loads(folder.scores.read_text())
    assert scores["mcc"] > 0.95
    assert scores["r2"] > 0.95
    assert scores["untrained"]["mcc"] < 0.9
    assert scores["factors"] == ["z1", "z2", "z3"]
    for name in ("alignment", "uniformity"):
        assert all(name in record for record in folder.records() if "loss" in record)


def test_scores_and_probes_are_those_of_the_representations(tmp_path: Path) -> None:
    line = ("--source", "mixing", "--factors", 3, "--steps", 0)
    folder = finished(tmp_path / "run", *line, drawn=True)
    [seed] = json.loads(folder.scores.read_text())["seeds"]
    from benchmark.runs.completion import complete
    from benchmark.runs.opening import open_source
    from benchmark.runs.options import Options

    latents = open_source(complete(Options(source="mixing", factors=3))).latents(0)
    codes = np.load(folder.representations(0))
    expected = score(latents, codes)
    for name in ("r2", "mcc", "mcc_spearman"):
        assert seed["trained"][name] == pytest.approx(getattr(expected, name), abs=1e-9)
    found = probe(latents, codes)
    assert seed["probe"]["nonlinear_r2"] == pytest.approx(found.nonlinear_r2, abs=1e-9)
    assert seed["probe"]["dci"]["completeness"] == pytest.approx(found.dci.completeness, abs=1e-9)


def test_few_test_rows_are_remarked_where_scores_are_printed(tmp_path: Path) -> None:
    data = make_images(tmp_path / "images", n=40, n_test=20)
    shared = ("--data", data, "--encoder", "conv", "--batch-size", 8, "--steps", 2, *SHARED)
    result = cli("benchmark", "--out", tmp_path / "run", *shared, env=ONE_THREAD)
    assert result.returncode == 0, result.stderr
    [conclusion] = [line for line in result.stdout.splitlines() if line.startswith("R2 ")]
    assert conclusion.endswith("200 rows or more make them sound")
    assert result.stderr.count("20 rows are few for 10 codes") == 1
    page = (tmp_path / "run" / "report.html").read_text()
    assert page.index("20 rows are few for 10 codes") < page.index("</header>")
    assert "linear readout of all codes, fitted by ridge, on" in page
    assert "R², ridge" in page
    assert "Warning" not in result.stderr


def test_reports_withhold_dci_where_codes_hold_nothing(
    coloured: Path, finished: Path, tmp_path: Path
) -> None:
    """One seed of two is noise, then both are; means are of what is left."""
    folder = RunFolder(shutil.copytree(finished, tmp_path / "run"))
    config = Config.model_validate_json(folder.config.read_text())
    source = ImageSource(open_splits(coloured, None), None)
    results = [
        Result(seed, *(Scores.from_json(folder.scored(seed)[i]) for i in (0, -1)))
        for seed in config.seeds
    ]
    noise = np.random.default_rng(0).normal(size=(len(source.latents(0)), 10))
    for withheld, seed in enumerate(config.seeds, start=1):
        np.save(folder.representations(seed), noise.astype(np.float32))
        found = write_results(folder, config, results, source, "again")
        assert json.loads(folder.scores.read_text()) == found
        assert found["dci"]["withheld"] == withheld
        assert found["seeds"][withheld - 1]["probe"]["dci"]["completeness"] is None
        for name in ("disentanglement", "completeness"):
            left = [entry["probe"]["dci"][name] for entry in found["seeds"][withheld:]]
            assert found["dci"][name] == (np.mean(left) if left else None)
        page = folder.report.read_text()
        assert f"withheld for {withheld} of 2 seeds" in page
        dashes = page.count(f"<b>{NONE}</b>")
        assert dashes == (0 if withheld == 1 else 3)  # ICA is withheld, too


def test_pedestrians_are_encoded(tmp_path: Path) -> None:
    masks = make_pickle(tmp_path, [12] * 40, edge=16)
    options = ("--source", "kitti", "--data", masks, "--steps", 60)
    folder = finished(tmp_path / "run", *options)
    scores = json.loads(folder.scores.read_text())
    assert len(scores["factors"]) == 3
    assert np.array(scores["seeds"][0]["trained"]["correlation"]).shape == (3, 10)
    assert 0 <= scores["mcc_spearman"] <= 1
    supervised = finished(tmp_path / "supervised", *options, "--loss", "supervised")
    scores = json.loads(supervised.scores.read_text())
    assert np.array(scores["seeds"][0]["trained"]["correlation"]).shape == (3, 3)


def test_a_pickle_that_wants_to_run_code_is_refused(tmp_path: Path) -> None:
    trap = tmp_path / "trap.pickle"
    sentinel = tmp_path / "ran"
    trap.write_bytes(f"cposix\nsystem\n(S'touch {sentinel}'\ntR.".encode())
    line = refused("benchmark", "--source", "kitti", "--data", trap, "--out", tmp_path / "run")
    assert "trap.pickle" in line
    assert not sentinel.exists()
    assert not (tmp_path / "run").exists()


def test_rendered_and_augmented_pairs_are_trained_on(paired: Path, tmp_path: Path) -> None:
    shared = ("--data", paired, "--encoder", "conv", "--batch-size", 4, "--steps", 3)
    folder = finished(tmp_path / "rendered", "--source", "rendered", *shared)
    delivered = json.loads(folder.delivered.read_text())
    assert set(delivered["positive_snaps"].values()) == {0.0}
    augmented = finished(tmp_path / "augmented", "--source", "augmented", *shared)
    assert not augmented.delivered.exists()
    assert json.loads(augmented.config.read_text())["loss"] == "dot"


def test_an_encoder_of_ones_own_is_trained(tmp_path: Path) -> None:
    (tmp_path / "my_nets.py").write_text(
        "from torch import nn\n"
        "def pooled(codes):\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, codes))\n"
        "def short(codes):\n"
        "    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 3))\n"
    )
    data = make_images(tmp_path / "images", n=40, n_test=40)
    line = ["benchmark", "--data", data, "--batch-size", 8, "--steps", 5, *SHARED]
    results = {
        name: cli(*line, "--encoder", f"my_nets:{name}", "--out", tmp_path / name, cwd=tmp_path)
        for name in ("pooled", "short")
    }
    assert results["pooled"].returncode == 0, results["pooled"].stderr
    assert results["short"].returncode == 2
    assert "expected codes of shape (B, 10) from my_nets:short, found (2, 3)" in (
        results["short"].stderr
    )
    assert not (tmp_path / "short").exists()


LATE = """
import torch
from torch import nn
class Net(nn.Linear):
    def __init__(self, codes):
        super().__init__(3, codes)
class Raises(Net):
    def forward(self, rows):
        if self.training and len(rows) > 2:
            raise KeyError("a mistake of mine")
        return super().forward(rows)
class Backward(Net):
    def forward(self, rows):
        codes = super().forward(rows)
        if len(rows) > 2 and codes.requires_grad:
            codes.register_hook(lambda _: torch.zeros(3) @ torch.zeros(4))
        return codes
class Nothing(Net):
    def forward(self, rows):
        return super().forward(rows) * float("nan")
"""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Raises", "KeyError: 'a mistake of mine' for B = 32"),
        ("Backward", "expected late:Backward to be trained, found RuntimeError"),
        ("Nothing", "codes: expected finite numbers, found others before the first step of seed"),
    ],
)
def test_mistakes_of_an_encoder_in_training_are_named(
    tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "late.py").write_text(LATE)
    line = [
        "benchmark",
        "--source",
        "mixing",
        "--factors",
        3,
        "--encoder",
        f"late:{name}",
        *SHARED,
    ]
    result = cli(*line, "--batch-size", 16, "--steps", 4, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert words in result.stderr
    assert ("seed 0 is saved at step 0 of 4" in result.stderr) == (name != "Nothing")


def test_what_an_encoder_draws_depends_on_seed_and_step_alone(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(
        "from torch import nn\n"
        "def net(codes):\n"
        "    return nn.Sequential(nn.Linear(3, 50), nn.Dropout(0.5), nn.Linear(50, codes))\n"
    )
    line = ["benchmark", "--source", "mixing", "--factors", 3, "--encoder", "noisy:net", *SHARED]
    options = ["--batch-size", 64, "--steps", 8, "--seeds"]
    losses = []
    for seeds in ("1", "0,1"):
        out = tmp_path / seeds
        result = cli(*line, *options, seeds, "--out", out, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        records = RunFolder(out).records()
        losses.append([r["loss"] for r in records if r["seed"] == 1 and "loss" in r])
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_tensorboard_holds_the_same_numbers(tmp_path: Path) -> None:
    options = ("--source", "mixing", "--factors", 3, "--batch-size", 64, "--steps", 6)
    folder = finished(tmp_path / "run", *options, "--tensorboard")
    script = (
        "import sys; from tensorboard.backend.event_processing import event_accumulator as e;"
        "a = e.EventAccumulator(sys.argv[1]); a.Reload();"
        "import json; print(json.dumps([(s.step, s.value) for s in a.Scalars('loss')]))"
    )
    place = str(folder.tensorboard / "seed-0")
    read = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, place], capture_output=True, text=True
    )
    assert read.returncode == 0, read.stderr
    found = json.loads(read.stdout)
    logged = [(r["step"], r["loss"]) for r in folder.records() if "loss" in r]
    assert [step for step, _ in found] == [step for step, _ in logged]
    assert [loss for _, loss in found] == pytest.approx([loss for _, loss in logged])
