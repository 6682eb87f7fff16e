"""Regression on the latents."""

from __future__ import annotations

import torch

from benchmark.losses.targets.supervised import Supervised
from benchmark.losses.views import Views


def test_the_error_is_zero_for_the_latents_alone() -> None:
    z = torch.rand(8, 3)
    assert Supervised(3)(Views(codes=z, latents=z))["loss"] == 0
    loss = Supervised(3)(Views(codes=z + torch.tensor([0.0, 0.0, 0.3]), latents=z))["loss"]
    torch.testing.assert_close(loss, torch.tensor(0.03))
