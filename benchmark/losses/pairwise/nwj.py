r"""The bound of Nguyen, Wainwright and Jordan (NWJ) on mutual information, as a loss.

    L = -E[ s(u, v) / t + b ] + E exp(s(u, w) / t + b - 1)

for an anchor u, its positive v and negatives w. At the minimum over all functions, s / t + b is 1
plus the log of the density of positives over that of negatives, and -L is their divergence. So
the offset b is learned. The mean of exponentials is computed from a log-sum-exp.

References:
    Estimating divergence functionals and the likelihood ratio by convex risk minimization,
    Nguyen, Wainwright, Jordan, 2010, https://arxiv.org/abs/0809.0853
    Towards a Unified Framework of Contrastive Learning for Disentangled Representations, Matthes,
    Han, Shen, 2023, https://arxiv.org/abs/2311.04774
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from benchmark.losses.pairwise.critic import Critic, Offset
from benchmark.losses.similarities import LpSimilarity
from benchmark.losses.views import Views


class NWJ(Critic):
    """The NWJ bound with a learned offset.

    Matthes et al. show that its minimisers identify the latents if the similarity has the form of
    the log conditional, as those of InfoNCE do. Its exponentials make it the least stable of the
    estimators, so the offset starts low.

    Arguments:
        n: number of codes.
        offset: initial value of b for distances, whose similarities are at most 0. For others it
            is reduced by 1 / t, the largest similarity of unit vectors.
        critic: arguments of :class:`benchmark.losses.pairwise.critic.Critic`.
    """

    def __init__(self, n: int, offset: float = 0.0, **critic: Any) -> None:
        super().__init__(n, **critic)
        largest = 0.0 if isinstance(self.similarity(), LpSimilarity) else 1.0 / self.temperature
        self.offset = Offset(offset - largest)

    def forward(self, views: Views) -> dict[str, Tensor]:
        """The loss, its two parts, and the offset."""
        compared, b = self.compare(views), self.offset()
        positive = -(compared.alike() + b).mean()
        crowd = compared.crowd()
        total = crowd.logsumexp(dim=0) - math.log(len(crowd) * compared.count)
        negative = (total + b - 1.0).exp()
        return {
            "loss": positive + negative,
            "positive": positive,
            "negative": negative,
            "offset": b,
        }
