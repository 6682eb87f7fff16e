r"""AnInfoNCE: InfoNCE on the unit sphere with a learned weight for each coordinate.

    s(u, v) = -1/2 (u - v)' L (u - v),    L = diag(softplus(l_1), ..., softplus(l_n))

The model's conditional varies more along coordinates of small weight, as positives do that vary
more in some factors than in others.

References:
    InfoNCE: Identifying the Gap Between Theory and Practice, Rusak, Reizinger, Juhos, Bringmann,
    Zimmermann, Brendel, 2024, https://arxiv.org/abs/2407.00143
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from benchmark.config import Config
from benchmark.losses.contrastive import compare, terms_of
from benchmark.losses.similarities import LpSimilarity
from benchmark.losses.views import Views
from benchmark.settings import MixingSettings

# The published weights learn ten times as fast as the network. Adam moves a parameter by about the
# learning rate in a step, so they are parameters times ten.
_RATE = 10.0
_SPREAD = 0.1


class AnInfoNCE(nn.Module):
    """InfoNCE with learned weights on the unit sphere.

    Let latents be uniform on the sphere, with p(z~ | z) proportional to the exponential of such a
    similarity. Codes are then the latents up to orthogonal maps within each block of factors of
    equal weight: permutations and sign flips if all weights differ. The weights are found, too.
    This holds for anchors of the first view. Positives are not uniform, so ``symmetric`` adds
    negatives of another law. Off the unit sphere, weights and scales of codes would be
    interchangeable.

    Arguments:
        n: number of codes.
        symmetric: True to use positives as anchors, too, as published.
    """

    output_space = "sphere"

    def __init__(self, n: int, symmetric: bool = False) -> None:
        super().__init__()
        self.raw_weights = nn.Parameter(_SPREAD * torch.randn(n) / _RATE)
        self._anchors = 2 if symmetric else 1

    def weights(self) -> Tensor:
        """The diagonal of L, shape (n,)."""
        return softplus(_RATE * self.raw_weights)

    def forward(self, views: Views) -> dict[str, Tensor]:
        """InfoNCE, its terms, and the smallest and the largest weight."""
        pair, weights = views.pair(), self.weights()
        negatives, first = None, None
        if views.ranks.count > 1:
            negatives = tuple(views.gather(codes) for codes in pair[: self._anchors])
            first = views.ranks.rank * len(pair[0])
        similarity = LpSimilarity(2, weights / 2.0)
        terms = terms_of(compare(pair, self._anchors, similarity, 1.0, negatives, first))
        return {
            **terms._asdict(),
            "least_weight": weights.min().detach(),
            "largest_weight": weights.max().detach(),
        }

    @staticmethod
    def matches(config: Config) -> str | None:
        """The assumption that a run violates, in words; None if it violates none."""
        source = config.source
        law = getattr(source, "conditional", None)
        if not isinstance(source, MixingSettings) or source.space != "sphere":
            return "latents do not lie on a sphere"
        if source.marginal != "uniform":
            return f"latents are not uniform, but {source.marginal}"
        if law is None or not (law.name == "vmf" or law.name.startswith("anisotropic")):
            return "aninfonce models another law than the conditional"
        if config.extent != 1.0:
            return "codes do not lie on the unit sphere"
        return None
