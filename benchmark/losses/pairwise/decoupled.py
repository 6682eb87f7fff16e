r"""The decoupled contrastive loss (DCL): InfoNCE without the positive in the denominator.

    L = E[ -s(u, v) / t + log sum_i exp(s(u, u_i) / t) ]

With M negatives, L - log M is the sum of alignment and uniformity, the limit of InfoNCE for many
negatives.

References:
    Decoupled Contrastive Learning, Yeh, Hong, Hsu, Liu, Chen, LeCun, 2022,
    https://arxiv.org/abs/2110.06848
"""

from __future__ import annotations

import math

from torch import Tensor

from benchmark.losses.contrastive import terms_of
from benchmark.losses.pairwise.critic import Critic
from benchmark.losses.views import Views


class Decoupled(Critic):
    """The decoupled contrastive loss.

    Its theorem is that of InfoNCE, whose limit it equals for every number of negatives. Off the
    sphere it has no lower bound for a finite batch: codes of few anchors may run away.
    """

    def forward(self, views: Views) -> dict[str, Tensor]:
        """The loss, and its terms ``alignment`` and ``uniformity``."""
        compared = self.compare(views)
        _, alignment, uniformity = terms_of(compared)
        loss = alignment + uniformity + math.log(compared.count)
        return {"loss": loss, "alignment": alignment, "uniformity": uniformity}
