"""Codes, and InfoNCE summed over all pairs."""

from __future__ import annotations

import torch
from torch import Tensor


def codes(*sizes: int, n: int = 3, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(size, n, generator=generator, dtype=torch.float64).requires_grad_()
        for size in sizes
    ]
