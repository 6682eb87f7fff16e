r"""VICReg: variance, invariance and covariance regularisation.

    L = 25 mean |u - v|^2 + 25/2 sum_views mean_k max(0, 1 - sqrt(Var_k + 1e-4))
        + sum_views 1/n sum_{k != l} Cov_kl^2

The mean of the first term is over pairs and coordinates. Variances and covariances are over the
whole batch, divided by B - 1.

References:
    VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning, Bardes,
    Ponce, LeCun, 2022, https://arxiv.org/abs/2105.04906
    Variance Covariance Regularization Enforces Pairwise Independence in Self-Supervised
    Representations, Mialon, Balestriero, LeCun, 2022, https://arxiv.org/abs/2209.14905
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.config import Config
from benchmark.losses.redundancy.statistics import covariance, squares_off_diagonal
from benchmark.losses.views import Views

_EPSILON = 1e-4


class VICReg(nn.Module):
    """VICReg.

    No theorem says that its codes identify latents. It constrains second moments alone, which no
    rotation of whitened codes changes. With an MLP projector, features are pairwise independent at
    its minimum (Mialon et al.). So score the features, too.

    Arguments:
        n: number of codes.
        invariance: weight of the first term.
        variance: weight of the second term.
        covariance: weight of the third term.
    """

    output_space = ("unbounded", "box", "fixed-box")

    def __init__(
        self,
        n: int,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
    ) -> None:
        super().__init__()
        self.n = n
        self._weights = invariance, variance, covariance

    def forward(self, views: Views) -> dict[str, Tensor]:
        """The loss, and its three terms without their weights."""
        u, v = views.pair()
        everywhere = [covariance(views.gather(codes)) for codes in (u, v)]
        spreads = [(matrix.diagonal() + _EPSILON).sqrt() for matrix in everywhere]
        invariance = (u - v).square().mean()
        variance = torch.stack([(1.0 - spread).relu().mean() for spread in spreads]).mean()
        off = torch.stack([squares_off_diagonal(matrix) for matrix in everywhere]).sum() / self.n
        terms = {"invariance": invariance, "variance": variance, "covariance": off}
        total = sum(w * term for w, term in zip(self._weights, terms.values(), strict=True))
        return {"loss": torch.as_tensor(total), **terms}

    @staticmethod
    def matches(_: Config) -> str:
        """The reason why no theorem applies."""
        return "no theorem says that codes of vicreg identify latents"
