r"""SlowVAE: a variational autoencoder of pairs in time, with sparse steps of the latents.

    L = E_q[ -log p(x | z) - log p(x~ | z~) ] + beta KL( q(z | x) || N(0, I) )
        + gamma E_q KL( q(z~ | x~) || Laplace(z, 1 / rate) )

The expectations of the second divergence are exact: z~ - z is normal under q, and the mean of its
absolute value is known.

References:
    Towards Nonlinear Disentanglement in Natural Data with Temporal Sparse Coding, Klindt, Schott,
    Sharma, Ustyuzhaninov, Brendel, Bethge, Paiton, 2021, https://arxiv.org/abs/2007.10930
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from benchmark.config import Config
from benchmark.losses.generative.beta_vae import require_weight
from benchmark.losses.generative.decoder import Autoencoder, Posterior
from benchmark.losses.views import Views
from threedident.runtime.errors import printable


class SlowVAE(Autoencoder):
    """SlowVAE.

    Let steps of the latents be independent generalised Laplace variables with exponents other than
    2, and the mixing injective. Maximum likelihood then finds the latents up to permutations, sign
    flips and rescalings (Klindt et al.). The lower bound has no such theorem.

    Arguments:
        n: number of codes.
        shape: shape of one observation.
        features: number of features of the encoder.
        beta: weight of the divergence from the normal prior, at least 0.
        gamma: weight of the divergence from the Laplace prior, at least 0.
        rate: one over the scale of the Laplace prior, positive.
        noise: standard deviation of observed vectors, positive.

    Raises:
        ValueError: observations are neither images of 64 x 64 pixels nor vectors, a weight is
            negative, or the rate or the noise is not positive.
    """

    def __init__(
        self,
        n: int,
        shape: tuple[int, ...],
        features: int,
        beta: float = 1.0,
        gamma: float = 10.0,
        rate: float = 6.0,
        noise: float = 0.1,
    ) -> None:
        super().__init__(n, shape, features, noise)
        require_weight("beta", beta)
        require_weight("gamma", gamma)
        if not 0 < rate < math.inf:
            raise ValueError(
                f"rate: expected a positive number, found {printable(str(rate))}; it is one over "
                "the scale of a step"
            )
        self._beta, self._gamma, self._rate = beta, gamma, rate

    def forward(self, views: Views) -> dict[str, Tensor]:
        """The loss, and its three terms without their weights."""
        u, v = views.pair()
        first = self.posterior(u, views.features)
        second = self.posterior(v, views.positive_features)
        reconstruction = (
            self.reconstruction(first, views.inputs)
            + self.reconstruction(second, views.positive_inputs)
        ).mean()
        divergence = first.divergence().mean()
        slowness = step_divergence(first, second, self._rate).mean()
        return {
            "loss": reconstruction + self._beta * divergence + self._gamma * slowness,
            "reconstruction": reconstruction,
            "divergence": divergence,
            "slowness": slowness,
        }

    @staticmethod
    def matches(config: Config) -> str | None:
        """The assumption that a run violates, in words; None if the run has no conditional."""
        law = getattr(config.source, "conditional", None)
        if law is None or law.name == "laplace":
            return "the lower bound of slow-vae is not the likelihood" if law else None
        return f"slow-vae models another law than the conditional {law.name}"


def step_divergence(first: Posterior, second: Posterior, rate: float) -> Tensor:
    """Mean over z of KL( q(z~ | x~) || Laplace(z, 1 / rate) ), summed over coordinates.

    Arguments:
        first: posterior of z.
        second: posterior of z~.
        rate: one over the scale of the Laplace law.

    Returns:
        Shape (B,).
    """
    entropy = 0.5 * (math.log(2.0 * math.pi * math.e) + second.log_variance)
    step = second.mean - first.mean
    spread = (first.log_variance.exp() + second.log_variance.exp()).sqrt()
    ratio = step / spread
    density = (-ratio.square() / 2.0).exp() * math.sqrt(2.0 / math.pi)
    distance = spread * density + step * torch.erf(ratio / math.sqrt(2.0))
    return (rate * distance - math.log(rate / 2.0) - entropy).sum(dim=1)
