"""The two protocols of scoring."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from benchmark.runs.completion import complete
from benchmark.runs.opening import open_source, resolve
from benchmark.runs.options import Options
from benchmark.sources.mixing import TEST_ROWS
from benchmark.sources.source import Machine
from benchmark.training.evaluation import represent, scored_latents, scores_by_batch

CPU = Machine(torch.device("cpu"))


def build(protocol: str) -> tuple[Any, Any]:
    options = complete(Options(source="mixing", factors=3, steps=1, protocol=protocol))
    source = open_source(options)
    return resolve(options, source), source


@pytest.fixture
def model() -> nn.Module:
    """BatchNorm with running statistics of its own, unlike those of any batch."""
    norm = nn.BatchNorm1d(3, affine=False)
    norm.running_mean.fill_(7)  # type: ignore[union-attr]
    norm.running_var.fill_(9)  # type: ignore[union-attr]
    return norm


@pytest.mark.parametrize("training", [True, False])
def test_held_out_rows_are_scored_in_eval_mode(model: nn.Module, training: bool) -> None:
    config, source = build("held-out")
    model.train(training)
    codes = represent(model, config, source, 0, CPU)
    assert len(codes) == len(scored_latents(config, source, 0)) == TEST_ROWS
    observations = torch.cat(list(source.held_out(0, TEST_ROWS, CPU)))
    assert codes == pytest.approx(((observations - 7) / (9 + 1e-5) ** 0.5).numpy(), abs=1e-5)
    assert model.training == training


@pytest.mark.parametrize("training", [True, False])
def test_published_rows_are_scored_with_statistics_of_the_batch(
    model: nn.Module, training: bool
) -> None:
    config, source = build("published")
    model.train(training)
    codes = represent(model, config, source, 0, CPU)
    assert len(codes) == len(scored_latents(config, source, 0)) == 61_440
    for batch in codes.reshape(10, 6144, 3):
        assert batch.mean(axis=0) == pytest.approx(0, abs=1e-5)
        assert batch.std(axis=0) == pytest.approx(1, abs=1e-2)
    assert (model.running_mean == 7).all()
    assert (model.running_var == 9).all()
    assert model.num_batches_tracked == 0
    assert model.training == training


def test_untrained_models_have_scores_with_statistics_of_the_batch(model: nn.Module) -> None:
    """The rectifier sees nothing of codes that the running statistics shift below 0."""
    config, source = build("held-out")
    network = nn.Sequential(model, nn.ReLU()).eval()
    assert (represent(network, config, source, 0, CPU) == 0).all()
    found = scores_by_batch(network, config, source, 0, CPU)
    assert found is not None
    assert found.keys() == {"r2", "mcc", "mcc_spearman"}
    assert found["r2"] > 0.3
    assert (model.running_mean == 7).all()
    assert not network.training


def test_models_without_batch_statistics_and_published_scores_have_no_second_ones(
    model: nn.Module,
) -> None:
    config, source = build("held-out")
    assert scores_by_batch(nn.Linear(3, 3), config, source, 0, CPU) is None
    config, source = build("published")
    assert scores_by_batch(model, config, source, 0, CPU) is None


def test_what_encoders_draw_does_not_change_scores(model: nn.Module) -> None:
    config, source = build("held-out")
    network = nn.Sequential(model, nn.Dropout())
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first = scores_by_batch(network, config, source, 0, CPU)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    assert scores_by_batch(network, config, source, 0, CPU) == first
