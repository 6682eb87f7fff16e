"""InfoNCE as a loss of a run; see :mod:`benchmark.losses.contrastive`."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from benchmark.losses.contrastive import terms_of
from benchmark.losses.pairwise.critic import Critic
from benchmark.losses.views import Views


class InfoNCE(Critic):
    """InfoNCE: log-softmax of the positive among itself and the negatives.

    Let p(z) be uniform, and let the similarity have the form of log p(z~ | z). Codes are then
    orthogonal maps of the latents on the sphere, affine maps in a convex body, and permutations
    with sign flips and rescalings for -|u - v|^p with p other than 2.

    With ``wide`` codes, the encoder has a second head while it is trained, and InfoNCE of its
    codes under -|u - v|^2 is added. With as many codes as factors, some codes may encode factors
    that other codes already encode, and training then stays there for long. The second head has
    codes for the remaining factors. Its loss changes the features, which both heads share. A loss
    on an inner layer is called deep supervision (Lee et al.).

    Arguments:
        n: number of codes.
        features: number of features F, from which the second head computes its codes.
        wide: number of codes of the second head, which is used in training alone; 0 for none.
        critic: arguments of :class:`benchmark.losses.pairwise.critic.Critic`, in their order.
        others: further ones by name.

    Raises:
        ValueError: there are no features for wide codes, or their number is negative.

    References:
        Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
        https://arxiv.org/abs/2102.08850
        Deeply-Supervised Nets, Lee, Xie, Gallagher, Zhang, Tu, 2015,
        https://arxiv.org/abs/1409.5185
    """

    def __init__(
        self, n: int, *critic: Any, features: int | None = None, wide: int = 0, **others: Any
    ) -> None:
        super().__init__(n, *critic, **others)
        if wide < 0:
            raise ValueError(f"wide: expected a number of codes from 0, found {wide}; raise it")
        if wide and features is None:
            raise ValueError(
                "wide: expected with an encoder that has a layer before the last, found none; "
                "give --features and --projector, or leave it out"
            )
        self._wide: Critic | None = None
        if wide and features is not None:
            self.head = nn.Linear(features, wide)
            self._wide = Critic(wide, anchor_as_negative=self._itself)

    def forward(self, views: Views) -> dict[str, Tensor]:
        """InfoNCE, its terms ``alignment`` and ``uniformity``, and that of ``wide`` codes."""
        terms = terms_of(self.compare(views))._asdict()
        if self._wide is None:
            return terms
        assert views.features is not None
        assert views.positive_features is not None
        codes, positives = map(self.head, (views.features, views.positive_features))
        wide = Views(codes=codes, positives=positives, ranks=views.ranks)
        added = terms_of(self._wide.compare(wide)).loss
        return {**terms, "wide": added, "loss": terms["loss"] + added}
