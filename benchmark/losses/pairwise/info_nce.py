"""InfoNCE as a loss of a run; see :mod:`benchmark.losses.contrastive`."""

from __future__ import annotations

from torch import Tensor

from benchmark.losses.contrastive import terms_of
from benchmark.losses.pairwise.critic import Critic
from benchmark.losses.views import Views


class InfoNCE(Critic):
    """InfoNCE: log-softmax of the positive among itself and the negatives.

    Let p(z) be uniform, and let the similarity have the form of log p(z~ | z). Codes are then
    orthogonal maps of the latents on the sphere, affine maps in a convex body, and permutations
    with sign flips and rescalings for -|u - v|^p with p other than 2.

    References:
        Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
        https://arxiv.org/abs/2102.08850
    """

    def forward(self, views: Views) -> dict[str, Tensor]:
        """InfoNCE, and its terms ``alignment`` and ``uniformity``."""
        return terms_of(self.compare(views))._asdict()
