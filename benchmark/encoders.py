"""Encoders: torchvision ResNets with the paper's head and an output space.

The ResNet ends in 10 n outputs, followed by a LeakyReLU and a linear layer to n codes. Nothing
is pretrained.
"""

from __future__ import annotations

import torch
import torchvision
from torch import nn

from benchmark.spaces import OUTPUT_SPACES

ENCODERS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
_WIDTH = 10


def build_encoder(name: str, codes: int, output_space: str, seed: int) -> nn.Sequential:
    """An encoder from normalised images (B, 3, H, W) to codes (B, codes).

    Arguments:
        name: one of :data:`ENCODERS`.
        codes: number of codes n.
        output_space: one of :data:`benchmark.spaces.OUTPUT_SPACES`.
        seed: of the initial weights; torch's global generator is left as it was.

    Raises:
        ValueError: an unknown name.
    """
    for what, value, known in (
        ("encoder", name, ENCODERS),
        ("output space", output_space, tuple(OUTPUT_SPACES)),
    ):
        if value not in known:
            raise ValueError(f"{what}: expected one of {', '.join(known)}, found {value!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = getattr(torchvision.models, name)(weights=None, num_classes=_WIDTH * codes)
        head = nn.Sequential(nn.LeakyReLU(), nn.Linear(_WIDTH * codes, codes))
    return nn.Sequential(backbone, head, OUTPUT_SPACES[output_space](codes))
