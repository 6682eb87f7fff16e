r"""Barlow Twins: the cross-correlation matrix of the two views is driven to the identity.

    L = sum_k (1 - C_kk)^2 + w sum_{k != l} C_kl^2,    C = 1/B sum_i a_i b_i'

where a and b are the codes of the two views, standardised over the whole batch.

References:
    Barlow Twins: Self-Supervised Learning via Redundancy Reduction, Zbontar, Jing, Misra, LeCun,
    Deny, 2021, https://arxiv.org/abs/2103.03230
"""

from __future__ import annotations

from torch import Tensor, nn

from benchmark.config import Config
from benchmark.losses.redundancy.statistics import squares_off_diagonal
from benchmark.losses.views import Views

_EPSILON = 1e-5  # as in BatchNorm


class BarlowTwins(nn.Module):
    """Barlow Twins.

    No theorem says that its codes identify latents. With an MLP projector, score the features,
    too; see :class:`benchmark.losses.redundancy.vicreg.VICReg`.

    Arguments:
        n: number of codes.
        redundancy: weight w of the entries off the diagonal.
    """

    output_space = ("unbounded", "box", "fixed-box")

    def __init__(self, n: int, redundancy: float = 0.0051) -> None:
        super().__init__()
        self.n, self._weight = n, redundancy

    def forward(self, views: Views) -> dict[str, Tensor]:
        """The loss, and its two terms without their weights."""
        a, b = (_standardised(views.gather(codes)) for codes in views.pair())
        correlation = a.T @ b / len(a)
        invariance = (1.0 - correlation.diagonal()).square().sum()
        redundancy = squares_off_diagonal(correlation)
        return {
            "loss": invariance + self._weight * redundancy,
            "invariance": invariance,
            "redundancy": redundancy,
        }

    @staticmethod
    def matches(_: Config) -> str:
        """The reason why no theorem applies."""
        return "no theorem says that codes of barlow identify latents"


def _standardised(codes: Tensor) -> Tensor:
    """Codes with mean 0 and standard deviation 1 over the rows, shape (B, n)."""
    centred = codes - codes.mean(dim=0)
    return centred * (centred.square().mean(dim=0) + _EPSILON).rsqrt()
