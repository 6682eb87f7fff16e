r"""Alignment with whitening: codes of both views agree, and their covariance is the identity.

    L = (1 - w) mean |u - v|^2 / 4 + w mean_views |Cov - I|^2 / n

The mean of the first term is over pairs and coordinates: it is the variance within a pair. |.| is
the Frobenius norm, and covariances are over the whole batch.

References:
    When Does LeJEPA Learn a World Model?, Klindt, LeCun, Balestriero, 2026,
    https://arxiv.org/abs/2605.26379
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.config import Config
from benchmark.losses.redundancy.statistics import covariance, not_gaussian
from benchmark.losses.views import Views
from threedident.runtime.errors import printable


class Whitening(nn.Module):
    """Alignment with whitened codes.

    Among whitened maps of a stationary Gaussian process whose factors have one correlation, the
    orthogonal maps of the latents have the least invariance, as for
    :class:`benchmark.losses.redundancy.lejepa.LeJEPA`.

    Arguments:
        n: number of codes.
        weight: weight w of whitening, from 0 to 1.

    Raises:
        ValueError: the weight is not from 0 to 1.
    """

    output_space = "unbounded"

    def __init__(self, n: int, weight: float = 0.5) -> None:
        super().__init__()
        require_share(weight)
        self.n, self._weight = n, weight

    def forward(self, views: Views) -> dict[str, Tensor]:
        """The loss, and its two terms without their weights."""
        u, v = views.pair()
        invariance = (u - v).square().mean() / 4.0
        whitening = torch.stack([self._distance(views.gather(codes)) for codes in (u, v)]).mean()
        loss = (1.0 - self._weight) * invariance + self._weight * whitening
        return {"loss": loss, "invariance": invariance, "whitening": whitening}

    def _distance(self, codes: Tensor) -> Tensor:
        identity = torch.eye(self.n, dtype=codes.dtype, device=codes.device)
        return (covariance(codes) - identity).square().sum() / self.n

    @staticmethod
    def matches(config: Config) -> str | None:
        """The assumption that a run violates, in words; None if it violates none."""
        return not_gaussian(config)


def require_share(weight: float) -> None:
    """Check that a weight is from 0 to 1.

    Raises:
        ValueError: it is not.
    """
    if not 0.0 <= weight <= 1.0:
        raise ValueError(
            f"weight: expected a number from 0 to 1, found {printable(str(weight))}; it is the "
            "share of the second term"
        )
