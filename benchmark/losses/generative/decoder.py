"""Decoders, and the parts of the evidence lower bound (ELBO).

Images of 64 x 64 pixels are decoded by transposed convolutions and compared as Bernoulli
variables, summed over pixels. Vectors are decoded by an MLP and compared as normal variables of
one standard deviation.

References:
    Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations,
    Locatello et al., 2019, https://arxiv.org/abs/1811.12359
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from threedident.runtime.errors import printable

EDGE = 64
_HIDDEN, _CHANNELS, _SIDE = 256, 64, 4
_WIDTH = 50
_LEAST, _MOST = -20.0, 10.0  # of log variances, so that no exponential overflows


class Posterior(NamedTuple):
    """The normal posterior q(z | x) with independent coordinates.

    Arguments:
        mean: codes, shape (B, n).
        log_variance: shape (B, n).
    """

    mean: Tensor
    log_variance: Tensor

    def sample(self) -> Tensor:
        """One sample for each row, shape (B, n), with gradient."""
        return self.mean + (self.log_variance / 2.0).exp() * torch.randn_like(self.mean)

    def divergence(self) -> Tensor:
        """KL divergence from the standard normal law, summed over coordinates, shape (B,)."""
        second = self.mean.square() + self.log_variance.exp()
        return 0.5 * (second - 1.0 - self.log_variance).sum(dim=1)


class Autoencoder(nn.Module):
    """The parts that turn an encoder into a variational autoencoder.

    Arguments:
        n: number of codes.
        shape: shape of one observation: (C, 64, 64) for images, (m,) for vectors.
        features: number of features, from which the log variance is computed.
        noise: standard deviation of vectors around what is decoded, positive.

    Raises:
        ValueError: observations have another shape, or the noise is not positive.
    """

    output_space = "unbounded"

    def __init__(self, n: int, shape: tuple[int, ...], features: int, noise: float = 0.1) -> None:
        super().__init__()
        if not 0 < noise < math.inf:
            raise ValueError(
                f"noise: expected a positive number, found {printable(str(noise))}; it is the "
                "standard deviation of observed vectors"
            )
        self._noise = noise
        if len(shape) != 1 and shape[1:] != (EDGE, EDGE):
            raise ValueError(
                f"--loss: expected images of {EDGE} pixels or vectors for an autoencoder, found "
                f"observations of shape {shape}; give --resolution {EDGE}, or another loss"
            )
        self.decoder = _of_vectors(n, shape[0]) if len(shape) == 1 else _of_images(n, shape[0])
        self.head = nn.Linear(features, n)

    def posterior(self, codes: Tensor, features: Tensor | None) -> Posterior:
        """The posterior whose mean are codes (B, n), with features of shape (B, F)."""
        assert features is not None
        return Posterior(codes, self.head(features).clamp(_LEAST, _MOST))

    def reconstruction(self, posterior: Posterior, inputs: Tensor | None) -> Tensor:
        """Negative log likelihood of raw observations (B, ...), shape (B,), up to a constant."""
        assert inputs is not None
        decoded = self.decoder(posterior.sample())
        if inputs.ndim == 2:
            found = 0.5 * ((decoded - inputs) / self._noise).square()
        else:
            pixels = inputs.to(decoded.dtype) / 255.0
            found = binary_cross_entropy_with_logits(decoded, pixels, reduction="none")
        sums: Tensor = found.flatten(1).sum(dim=1)
        return sums


def _of_images(n: int, channels: int) -> nn.Module:
    layers: list[nn.Module] = [
        nn.Linear(n, _HIDDEN),
        nn.ReLU(),
        nn.Linear(_HIDDEN, _CHANNELS * _SIDE**2),
        nn.ReLU(),
        nn.Unflatten(1, (_CHANNELS, _SIDE, _SIDE)),
    ]
    for wide, narrow in ((64, 64), (64, 32), (32, 32)):
        layers += [nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1))


def _of_vectors(n: int, size: int) -> nn.Module:
    width = _WIDTH * n
    return nn.Sequential(
        nn.Linear(n, width),
        nn.LeakyReLU(),
        nn.Linear(width, width),
        nn.LeakyReLU(),
        nn.Linear(width, size),
    )
