"""Synthetic encoders, what metrics say of them, and the command that shows it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmark.cli import benchmark
from benchmark.guard.encoders import ENCODERS
from benchmark.guard.judge import Verdicts, as_csv, judge
from tests.conftest import cli

PERFECT = ("identity", "rescaled")


@pytest.fixture(scope="module")
def verdicts() -> Verdicts:
    return judge(np.random.default_rng(0).uniform(-1, 1, (2400, 5)))


def test_encoders_repeat_by_seed_and_leave_the_latents_alone() -> None:
    z = np.random.default_rng(1).uniform(-1, 1, (50, 4))
    before = z.copy()
    for encode in ENCODERS.values():
        one, two = (encode(z, np.random.default_rng(2)) for _ in range(2))
        assert (one == two).all()
        assert one.shape[0] == 50
    assert (z == before).all()


@pytest.mark.slow
def test_perfect_codes_are_at_the_top_of_every_metric(verdicts: Verdicts) -> None:
    for name in PERFECT:
        for metric, value in verdicts[name].items():
            assert value is not None, metric
            assert value > (0.98 if metric != "null level" else 0), (name, metric)


@pytest.mark.slow
def test_noise_is_at_its_null_level_or_withheld(verdicts: Verdicts) -> None:
    found = verdicts["noise"]
    level = found["null level"]
    assert level is not None
    for metric in ("MCC", "MCC held out", "MCC Spearman"):
        value = found[metric]
        assert value is not None
        assert value <= level + 0.005
    assert found["coverage"] == 0
    for metric in ("R² linear", "R² nonlinear"):
        value = found[metric]
        assert value is not None
        assert -0.05 < value < 0.02
    assert found["InfoE"] == pytest.approx(0, abs=0.01)
    for metric in ("MCC after ICA", "D Lasso", "C Lasso", "D trees", "C trees", "MIG", "InfoM"):
        assert found[metric] is None, metric


@pytest.mark.slow
def test_metrics_tell_the_encoders_apart(verdicts: Verdicts) -> None:
    def value(encoder: str, metric: str) -> float:
        found = verdicts[encoder][metric]
        assert found is not None
        return found

    assert value("bent", "R² linear") < 0.9 < value("bent", "R² nonlinear")
    assert value("bent", "MCC") < value("bent", "MCC Spearman")
    assert value("rotated", "MCC") < 0.9 < value("rotated", "MCC after ICA")
    assert value("rotated", "MCC weak (CCA)") > 0.99
    assert value("dropped factors", "coverage") == pytest.approx(0.8)  # four of five factors
    assert value("copied factors", "MIG") < 0.02
    assert value("copied factors", "InfoC") < 0.6 < 0.9 < value("copied factors", "InfoM")


@pytest.mark.slow
def test_the_table_as_csv_has_empty_cells_for_withheld_scores(verdicts: Verdicts) -> None:
    header, *rows = csv.reader(as_csv(verdicts).splitlines())
    assert header[0] == "encoder"
    assert [row[0] for row in rows] == list(ENCODERS)
    noise = dict(zip(header, rows[-1], strict=True))
    assert noise["MIG"] == ""
    assert float(noise["MCC"]) == pytest.approx(verdicts["noise"]["MCC"], abs=1e-6)


@pytest.mark.slow
def test_the_command_prints_writes_and_draws(tmp_path: Path) -> None:
    table, picture = tmp_path / "guard.csv", tmp_path / "guard.svg"
    arguments = ("--n", 240, "--factors", 2, "--csv", table, "--picture", picture)
    done = cli("benchmark", "guard", *arguments, drawn=True)
    assert done.returncode == 0, done.stderr
    assert "240 uniform latents, 2 factors" in done.stdout
    assert "sine and cosine" in done.stdout
    assert len(table.read_text().splitlines()) == 11
    assert picture.read_text().startswith("<?xml")


def test_help_of_a_run_names_the_command() -> None:
    shown = CliRunner().invoke(benchmark, ["--help"]).output
    assert "guard  Show what every metric says" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["guard", "--picture", "guard.txt"], "--picture: expected a name that ends in .png"),
        (["guard", "--data", "d", "--factors", "3"], "--factors: expected no --data"),
        (["guard", "--n", "10"], "10 is not in the range"),
        (["--steps", "3", "guard"], "--steps: expected no option of a run before guard"),
        (["gaurd"], "did you mean 'guard'"),
    ],
)
def test_bad_options_are_refused(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = cli("benchmark", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
