r"""Noise-contrastive estimation (NCE): logistic regression of positives against negatives.

    L = -E log sigmoid(s(u, v) / t + b) - k E log sigmoid(-s(u, w) / t - b)

for an anchor u, its positive v and negatives w. At the minimum, s / t + b + log k is the log of
the density of positives over that of negatives. So the offset b is learned.

References:
    Noise-contrastive estimation, Gutmann, Hyvarinen, 2010,
    https://proceedings.mlr.press/v9/gutmann10a.html
    Towards a Unified Framework of Contrastive Learning for Disentangled Representations, Matthes,
    Han, Shen, 2023, https://arxiv.org/abs/2311.04774
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from benchmark.losses.blocks import Curve
from benchmark.losses.pairwise.critic import Critic, Offset
from benchmark.losses.views import Views
from threedident.runtime.errors import printable

_SOFTPLUS = Curve(softplus, lambda logits: logits.sigmoid_())


class NCE(Critic):
    """Noise-contrastive estimation with a learned offset.

    Matthes et al. show that its minimisers identify the latents if the similarity has the form of
    the log conditional, as those of InfoNCE do, and without independent latents.

    Arguments:
        n: number of codes.
        k: weight of the negatives, positive.
        offset: initial value of b.
        critic: arguments of :class:`benchmark.losses.pairwise.critic.Critic`.

    Raises:
        ValueError: k is not positive, or the arguments of the critic do not fit.
    """

    def __init__(self, n: int, k: float = 1.0, offset: float = 0.0, **critic: Any) -> None:
        super().__init__(n, **critic)
        if not k > 0:
            raise ValueError(f"k: expected a positive number, found {printable(str(k))}; raise it")
        self.offset, self._k = Offset(offset), k

    def forward(self, views: Views) -> dict[str, Tensor]:
        """The loss, its two parts, and the offset."""
        compared, b = self.compare(views), self.offset()
        positive = -logsigmoid(compared.alike() + b).mean()
        negative = self._k * compared.sums(_SOFTPLUS, b).mean() / compared.count
        return {
            "loss": positive + negative,
            "positive": positive,
            "negative": negative,
            "offset": b,
        }
