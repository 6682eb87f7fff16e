"""Options of losses and of heads, from the command line to the configuration and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmark.cli import benchmark
from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.runs.resume import options_of
from tests.conftest import done_at_once, refused_at_once

ASKED: list[dict[str, Any]] = [
    {"loss": "beta-vae", "loss_option": ("beta=2", "noise=0.5")},
    {"loss": "slow-vae", "loss_option": ("gamma=3",), "features": 20},
    {"loss": "vicreg", "projector": (32, 16), "codes": 12},
    {"loss": "diet", "anchor_rows": 50, "space": "sphere", "conditional": "vmf"},
    {"loss": "l1", "estimator": "nce", "symmetric": True, "learned_scales": True},
    {"loss": "dot", "estimator": "spectral", "space": "sphere", "conditional": "vmf"},
    {"loss": "lejepa", "space": "real", "conditional": "autoregressive", "sigma": 0.5},
    {"loss": "aninfonce", "space": "sphere", "conditional": "anisotropic7.5", "sigma": 0.5},
]


@pytest.mark.parametrize("asked", ASKED, ids=str)
def test_arguments_and_configurations_say_the_same_options(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = Options(source="mixing", factors=3, **asked)
    heard: list[Options] = []
    monkeypatch.setattr("benchmark.cli.complete", lambda given: heard.append(given) or given)
    monkeypatch.setattr("benchmark.cli.carry_out", lambda *_: None)
    result = CliRunner().invoke(benchmark, options.arguments())
    assert result.exit_code == 0, result.output
    assert [each.arguments() for each in heard] == [options.arguments()]
    completed = complete(options)
    source = open_source(completed)
    config = resolve(completed, source)
    held = complete(options_of(config))
    assert resolve(held, open_source(held)) == config


def test_an_argument_may_be_repeated_or_follow_a_comma(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[Options] = []
    monkeypatch.setattr("benchmark.cli.complete", lambda given: heard.append(given) or given)
    monkeypatch.setattr("benchmark.cli.carry_out", lambda *_: None)
    for line in (["--loss-option=a=1,b=2"], ["--loss-option", "a=1", "--loss-option", "b=2"]):
        assert CliRunner().invoke(benchmark, line).exit_code == 0
    assert [options.loss_option for options in heard] == [("a=1", "b=2")] * 2


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("--projector", "0"), "'--projector'"),
        (("--projector", "8,x"), "'--projector'"),
        (("--codes", "0"), "'--codes'"),
        (("--features", "70000"), "'--features'"),
        (("--anchor-rows", "1"), "'--anchor-rows'"),
        (("--estimator", "nwi"), "did you mean 'nwj'?"),
        (("--loss", "barlwo"), "did you mean 'barlow'?"),
        (("--loss", "beta-vae", "--loss-option", "beat=1"), "did you mean 'beta'?"),
        (("--loss", "beta-vae", "--loss-option", "beta"), "expected name=value, found beta"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_in_one_line(line: tuple[str, ...], words: str) -> None:
    assert words in refused_at_once("benchmark", "--source", "mixing", *line)


@pytest.mark.slow
def test_a_command_may_be_given_again_however_its_arguments_were_spelt(tmp_path: Path) -> None:
    line = ("benchmark", "--source", "mixing", "--factors", 3, "--loss", "beta-vae")
    small = ("--steps", 1, "--batch-size", 16, "--device", "cpu", "--out", tmp_path / "run")
    for again in ((), ("--resume",)):
        done_at_once(*line, "--loss-option", "beta=2", *small, *again)
    said = refused_at_once(*line, "--loss-option", "beta=3", *small, "--resume")
    assert "loss_option ('beta=2.0',) where ('beta=3.0',) is asked for" in said
