"""Losses in whole runs: errors of one's own, options that are stored, and features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmark.losses.views import Views
from tests.conftest import done_at_once, make_images, refused_at_once

pytestmark = pytest.mark.slow
HERE = __name__
MIXED = ("--source", "mixing", "--factors", 2, "--batch-size", 16)
MACHINE = ("--device", "cpu", "--workers", 0)


class Own(nn.Module):
    """A loss with a parameter, which fails at the call that the test names."""

    fails_at: int | None = None
    calls = 0
    stepped = 0

    def __init__(self, n: int, weight: float = 1.0) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(n))
        self.weight = weight

    def forward(self, views: Views) -> dict[str, Tensor]:
        type(self).calls += 1
        if type(self).calls == type(self).fails_at:
            raise KeyError("no such row")
        u, v = views.pair()
        return {"loss": self.weight * (u + self.shift - v).square().mean()}

    def after_step(self, model: nn.Module) -> None:
        assert any(p.grad is not None for p in model.parameters())
        type(self).stepped += 1


@pytest.fixture(autouse=True)
def _own() -> None:
    Own.fails_at, Own.calls, Own.stepped = None, 0, 0


def state(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(out / "checkpoints" / "seed-0.pt")
    return found


def test_an_error_of_ones_own_loss_is_one_line_and_the_checkpoint_stays(tmp_path: Path) -> None:
    out = tmp_path / "run"
    line = ("benchmark", *MIXED, "--loss", f"{HERE}:Own", "--steps", 6, *MACHINE, "--out", out)
    Own.fails_at = 4
    said = refused_at_once(*line)
    assert f"loss: expected {HERE}:Own to take the views of a batch, found KeyError" in said
    assert "--resume goes on from there" in said
    kept = state(out)
    assert kept["step"] < 4
    assert kept["objective"]["loss.loss.shift"].shape == (2,)
    Own.fails_at = None
    done_at_once("benchmark", "--resume", out, *MACHINE)
    assert state(out)["step"] == 6


def test_the_loss_is_called_after_every_step(tmp_path: Path) -> None:
    line = ("benchmark", *MIXED, "--loss", f"{HERE}:Own", "--steps", 5, *MACHINE)
    done_at_once(*line, "--out", tmp_path / "run")
    assert Own.stepped == 5


def test_arguments_of_a_loss_are_stored_and_compared(tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ("--loss-option", "weight=2", "--steps", 2)
    done_at_once("benchmark", *MIXED, "--loss", f"{HERE}:Own", *options, *MACHINE, "--out", out)
    assert json.loads((out / "config.json").read_text())["loss_option"] == ["weight=2.0"]
    done_at_once("benchmark", "--resume", out, *MACHINE)
    said = refused_at_once("benchmark", "--resume", out, "--loss-option", "weight=3", *MACHINE)
    assert "loss_option ('weight=2.0',) where ('weight=3.0',) is asked for" in said


def test_features_are_stored_and_scored(tmp_path: Path) -> None:
    data = make_images(tmp_path / "data", n=60, n_test=80)
    out = tmp_path / "run"
    widths = ("--features", 24, "--projector", "16,8", "--codes", 12)
    line = ("benchmark", "--data", data, "--encoder", "conv", "--loss", "vicreg", *widths)
    done_at_once(*line, "--steps", 2, "--batch-size", 16, *MACHINE, "--out", out)
    features = np.load(out / "representations" / "seed-0-features.npy")
    assert features.shape == (80, 24)
    assert np.load(out / "representations" / "seed-0.npy").shape == (80, 12)
    scores = json.loads((out / "scores.json").read_text())["features"]
    assert scores["width"] == 24
    assert scores["r2_sd"] is None
    assert -1 < scores["r2"] <= scores["nonlinear_r2"] <= 1
    network = [name for name in state(out)["objective"] if name.startswith("model.1.0")]
    assert any(".13." in name or ".14." in name or ".15." in name for name in network)


def test_fewer_codes_than_factors_are_scored(tmp_path: Path) -> None:
    out = tmp_path / "run"
    line = ("benchmark", *MIXED, "--factors", 3, "--codes", 2, "--steps", 3, *MACHINE)
    done_at_once(*line, "--out", out, drawn=True)
    [seed] = json.loads((out / "scores.json").read_text())["seeds"]
    assert np.shape(seed["trained"]["correlation"]) == (3, 2)
    assert seed["trained"]["mcc"] <= 2 / 3
    assert sorted(seed["trained"]["mcc_per_factor"])[0] == 0
    assert np.load(out / "representations" / "seed-0.npy").shape[1] == 2


@pytest.mark.parametrize(
    ("loss", "options"),
    [
        ("barlow", ()),
        ("lejepa", ("--loss-option", "slices=8")),
        ("whitening", ()),
        ("slow-vae", ()),
        ("beta-vae", ("--loss-option", "beta=2")),
        ("diet", ("--anchor-rows", 30)),
        ("l2", ("--estimator", "nwj")),
    ],
)
def test_every_kind_of_loss_is_trained_resumed_and_loaded(
    tmp_path: Path, loss: str, options: tuple[object, ...]
) -> None:
    out = tmp_path / "run"
    line = ("benchmark", *MIXED, "--loss", loss, *options, *MACHINE, "--out", out)
    done_at_once(*line, "--steps", 3)
    done_at_once("benchmark", "--resume", out, *MACHINE)
    from threedident import load_encoder

    assert load_encoder(out)(torch.rand(4, 2)).shape == (4, 2)
    records = [json.loads(text) for text in (out / "metrics.jsonl").read_text().splitlines()]
    assert sum("loss" in record for record in records) == 3
