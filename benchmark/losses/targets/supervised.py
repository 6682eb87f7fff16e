"""Regression on the latents."""

from __future__ import annotations

from torch import Tensor, nn

from benchmark.losses.views import Views


class Supervised(nn.Module):
    """The mean squared error of codes as predictions of the latents.

    It needs no theorem: with enough data and capacity, codes equal the latents.

    Arguments:
        n: number of codes, which is the number of factors.
    """

    paired = False
    supervised = True

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, views: Views) -> dict[str, Tensor]:
        """The mean squared error."""
        assert views.latents is not None
        return {"loss": nn.functional.mse_loss(views.codes, views.latents)}
