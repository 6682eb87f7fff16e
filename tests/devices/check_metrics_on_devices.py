"""Scores of tensors on another device are those of the same arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.losses import LpSimilarity, info_nce
from benchmark.metrics import blocks, dci, information, mcc_context, probe, score
from tests.devices.pretend import pretending

ROWS, FACTORS = 400, 3
METRICS = {
    "score": score,
    "probe": probe,
    "dci": dci,
    "information": information,
    "mcc_context": mcc_context,
    "blocks": lambda latents, representations: blocks(
        latents, representations, groups={"all": range(FACTORS)}
    ),
}


def rows() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    latents = rng.uniform(-1, 1, (ROWS, FACTORS))
    return latents, np.tanh(latents @ rng.normal(size=(FACTORS, FACTORS)))


@pytest.mark.parametrize("name", METRICS)
def test_scores_are_those_of_arrays(name: str) -> None:
    metric: Callable[..., Any] = METRICS[name]
    latents, codes = rows()
    here = metric(latents=latents, representations=codes)
    with pretending():
        on_device = [torch.from_numpy(values).to("pretend") for values in (latents, codes)]
        on_device[1].requires_grad_()
        there = metric(latents=on_device[0], representations=on_device[1])
        mixed = metric(latents=latents, representations=on_device[1])  # as users have them
    assert str(there) == str(mixed) == str(here)


def test_a_metric_that_forgets_the_copy_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from threedident.runtime import arrays

    monkeypatch.setattr(torch.Tensor, "cpu", lambda self: self)
    latents, codes = rows()
    assert arrays.as_float64(torch.from_numpy(codes)).shape == codes.shape
    with pretending(), pytest.raises(RuntimeError, match="numpy"):
        score(latents=latents, representations=torch.from_numpy(codes).to("pretend"))


def test_info_nce_of_a_users_own_loop() -> None:
    def value(device: str) -> tuple[float, Any]:
        generator = torch.Generator().manual_seed(0)
        u, v = (torch.rand(32, 5, generator=generator).to(device) for _ in range(2))
        u.requires_grad_()
        loss = info_nce(u, v, LpSimilarity(2), temperature=1.0)
        loss.backward()
        assert u.grad is not None
        return loss.item(), u.grad.cpu().numpy()

    with pretending():
        there, here = value("pretend"), value("cpu")
    assert there[0] == pytest.approx(here[0], rel=1e-6)
    assert there[1] == pytest.approx(here[1], rel=1e-5, abs=1e-8)
