r"""The spectral contrastive loss: least squares for a ratio of densities.

    L = -2 E r(u, v) + E r(u, w)^2

for an anchor u, its positive v and negatives w. At the minimum over all functions, r is the
density of positives over that of negatives. The dot product and the cosine are r = s / t, as
published. Distances are logarithms of densities, so for them r = exp(s / t + b) with a learned
offset b.

References:
    Provable Guarantees for Self-Supervised Deep Learning with Spectral Contrastive Loss, HaoChen,
    Wei, Gaidon, Ma, 2021, https://arxiv.org/abs/2106.04156
    Towards a Unified Framework of Contrastive Learning for Disentangled Representations, Matthes,
    Han, Shen, 2023, https://arxiv.org/abs/2311.04774
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from benchmark.losses.blocks import Curve
from benchmark.losses.contrastive import Comparison
from benchmark.losses.pairwise.critic import Critic, Offset
from benchmark.losses.similarities import LpSimilarity
from benchmark.losses.views import Views

_SQUARE = Curve(
    lambda logits: logits.mul_(2.0).exp_(), lambda logits: logits.mul_(2.0).exp_().mul_(2.0)
)


class Spectral(Critic):
    """The spectral contrastive loss.

    With the dot product, codes of unbounded norm are a linear map of the leading eigenfunctions
    of the conditional (HaoChen et al.). The constant is the first of them, so n factors need more
    than n codes. With distances, its minimisers identify the latents if the similarity has the
    form of the log conditional, as those of InfoNCE do (Matthes et al.).

    Arguments:
        n: number of codes.
        offset: initial value of b, for distances.
        critic: arguments of :class:`benchmark.losses.pairwise.critic.Critic`.
    """

    def __init__(self, n: int, offset: float = 0.0, **critic: Any) -> None:
        super().__init__(n, **critic)
        self._of_distances = isinstance(self.similarity(), LpSimilarity)
        if self._of_distances:
            self.offset = Offset(offset)

    def forward(self, views: Views) -> dict[str, Tensor]:
        """The loss, its two parts, and the offset if there is one."""
        compared = self.compare(views)
        if self._of_distances:
            b = self.offset()
            terms = {"offset": b}
            positive = -2.0 * (compared.alike() + b).exp().mean()
            squares = compared.sums(_SQUARE, b).mean()
        else:
            terms = {}
            positive = -2.0 * compared.alike().mean()
            squares = _squared_products(compared)
        negative = squares / compared.count
        return {"loss": positive + negative, "positive": positive, "negative": negative, **terms}


def _squared_products(compared: Comparison) -> Tensor:
    """The sum of (u . w / t)^2 over the negatives of an anchor, in the mean over anchors.

    It is computed from second moments, so no matrix of all pairs is needed.
    """
    others = compared.others
    moments, total = others.T @ others, others.new_zeros(())
    for codes in compared.views[: compared.anchors]:
        total = total + ((codes.T @ codes) * moments).sum()
        for place in compared.skipped:
            alike = (codes * others[place : place + len(codes)]).sum(dim=1)
            total = total - alike.square().sum()
    anchors = compared.anchors * len(compared.views[0])
    return total / (anchors * compared.temperature**2)
