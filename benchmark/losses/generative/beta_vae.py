r"""beta-VAE: the evidence lower bound with a weight of the prior.

    L = E_q[ -log p(x | z) ] + beta KL( q(z | x) || N(0, I) )

References:
    beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework, Higgins et
    al., 2017, https://openreview.net/forum?id=Sy2fzU9gl
    Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations,
    Locatello et al., 2019, https://arxiv.org/abs/1811.12359
"""

from __future__ import annotations

from torch import Tensor

from benchmark.config import Config
from benchmark.losses.generative.decoder import Autoencoder
from benchmark.losses.views import Views
from threedident.runtime.errors import printable


class BetaVAE(Autoencoder):
    """beta-VAE, a negative control.

    It sees single observations. Without pairs or assumptions on the mixing, latents cannot be
    identified: every rotation of normal latents explains the data as well (Locatello et al.).

    Arguments:
        n: number of codes.
        shape: shape of one observation.
        features: number of features of the encoder.
        beta: weight of the divergence, at least 0.
        noise: standard deviation of observed vectors, positive.

    Raises:
        ValueError: observations are neither images of 64 x 64 pixels nor vectors, beta is
            negative, or the noise is not positive.
    """

    paired = False

    def __init__(
        self,
        n: int,
        shape: tuple[int, ...],
        features: int,
        beta: float = 4.0,
        noise: float = 0.1,
    ) -> None:
        super().__init__(n, shape, features, noise)
        require_weight("beta", beta)
        self._beta = beta

    def forward(self, views: Views) -> dict[str, Tensor]:
        """The loss, and its two terms without their weights."""
        posterior = self.posterior(views.codes, views.features)
        reconstruction = self.reconstruction(posterior, views.inputs).mean()
        divergence = posterior.divergence().mean()
        return {
            "loss": reconstruction + self._beta * divergence,
            "reconstruction": reconstruction,
            "divergence": divergence,
        }

    @staticmethod
    def matches(_: Config) -> str:
        """The reason why no theorem applies."""
        return "single observations do not identify latents"


def require_weight(name: str, weight: float) -> None:
    """Check that a weight is at least 0.

    Raises:
        ValueError: it is not.
    """
    if not weight >= 0:
        raise ValueError(
            f"{name}: expected a number of at least 0, found {printable(str(weight))}; raise it"
        )
