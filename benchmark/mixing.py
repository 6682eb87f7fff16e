"""The mixing function of the paper's controlled experiments: an invertible MLP, drawn at random.

g is a chain of square linear maps without offsets, with a leaky ReLU of slope 0.2 between each
two. The entries of a map are uniform on [-1, 1] and its columns are scaled to norm 1; of 25,000
such matrices the best conditioned is taken.

References:
    Contrastive Learning Inverts the Data Generating Process, Zimmermann et al., 2021,
    https://arxiv.org/abs/2102.08850
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_LAYERS = 3
_SLOPE = 0.2
_CANDIDATES = 25_000
_ENTRIES = 2**22  # of the candidates that are compared at once
_MIXING_STREAM = 5


class Mixing(nn.Module):
    """g, from latents (B, n) to observations (B, n); nothing in it is learned.

    Arguments:
        n: number of latents.
        seed: all that g depends on.
    """

    def __init__(self, n: int, seed: int) -> None:
        super().__init__()
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_MIXING_STREAM,)))
        for layer in range(_LAYERS):
            weight = torch.from_numpy(_well_conditioned(n, rng))
            self.register_buffer(f"weight_{layer}", weight)

    def forward(self, latents: Tensor) -> Tensor:
        """Observations, in the latents' precision."""
        first, *others = self.buffers()
        values = latents @ first.to(latents.dtype).T
        for weight in others:
            values = nn.functional.leaky_relu(values, _SLOPE) @ weight.to(latents.dtype).T
        return values


def _well_conditioned(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The best conditioned of many random matrices, shape (n, n)."""
    best, least = np.empty((n, n)), np.inf
    for start in range(0, _CANDIDATES, height := max(1, _ENTRIES // n**2)):
        matrices = rng.uniform(-1.0, 1.0, (min(height, _CANDIDATES - start), n, n))
        matrices /= np.linalg.norm(matrices, axis=1, keepdims=True)
        conditions = np.linalg.cond(matrices)
        if conditions.min() < least:
            best, least = matrices[conditions.argmin()], conditions.min()
    return best
