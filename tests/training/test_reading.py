"""Losses that are read every few steps, as on a GPU: the training is the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmark.ranks import Ranks
from benchmark.training import loop
from benchmark.training.log import Unread
from tests.conftest import done_at_once, refused_at_once
from tests.small_runs import results

pytestmark = pytest.mark.slow

LINE = (
    *("benchmark", "--source", "mixing", "--factors", 3, "--batch-size", 16, "--steps", 23),
    *("--device", "cpu", "--workers", 0),
)


@pytest.fixture
def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_READS", {"cpu": 7})


def test_the_training_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done_at_once(*LINE, "--out", tmp_path / "each")
    monkeypatch.setattr(loop, "_READS", {"cpu": 7})
    done_at_once(*LINE, "--out", tmp_path / "rarely")
    assert results(tmp_path / "each") == results(tmp_path / "rarely")


@pytest.mark.usefixtures("rarely")
@pytest.mark.parametrize("bad", [1, 5, 7, 8, 23])
def test_a_loss_that_is_not_finite_is_named_by_its_step_and_not_saved(
    bad: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = loop.Loop._take_step

    def spoiled(self: loop.Loop, batch: object) -> None:
        take(self, batch)  # type: ignore[arg-type]
        if self.step == bad:
            self._unread._kept[-1][2].fill_(float("nan"))

    monkeypatch.setattr(loop.Loop, "_take_step", spoiled)
    monkeypatch.setattr(loop, "CHECKPOINT_PERIOD_S", 0.0)
    line = refused_at_once(*LINE, "--out", tmp_path / "run")
    assert "loss: expected a finite number, found nan" in line
    assert ("before the first step" if bad == 1 else f"after step {bad - 1} of") in line
    saved = torch.load(tmp_path / "run" / "checkpoints" / "seed-0.pt")["step"]
    assert bad - 7 <= saved < bad
    logged = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    steps = [row["step"] for row in map(json.loads, logged) if "loss" in row]
    assert steps == list(range(1, bad))


def test_terms_are_read_by_step() -> None:
    unread = Unread()
    for step in (3, 4):
        terms = {"loss": torch.tensor(float(step)), "alignment": torch.tensor(0.5 * step)}
        unread.add(step, terms)
    assert len(unread) == 2
    assert unread.read(stop=False, ranks=Ranks()) == (
        False,
        {3: {"loss": 3.0, "alignment": 1.5}, 4: {"loss": 4.0, "alignment": 2.0}},
    )
    assert not unread
    unread.add(5, {"loss": torch.tensor(1.0)})
    assert unread.read(stop=True, ranks=Ranks()) == (True, {5: {"loss": 1.0}})
