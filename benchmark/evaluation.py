"""Representations of a split: encoder in eval mode, rows in order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from threedident.dataset import ThreeDIdent
from threedident.loading import load

_BATCH = 256


@torch.no_grad()
def represent(
    model: nn.Module,
    dataset: ThreeDIdent,
    device: torch.device,
    workers: int,
    between: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """Codes of all images of a split.

    Arguments:
        model: from uint8 images (B, 3, H, W) to codes (B, n); left in the mode it was in.
        dataset: the split.
        device: where the model is.
        workers: loader processes.
        between: called before every batch.

    Returns:
        Shape (N, n).
    """
    training = model.training
    model.eval()
    try:
        starts = range(0, len(dataset), _BATCH)
        batches = [range(start, min(start + _BATCH, len(dataset))) for start in starts]
        codes = []
        for images in load(partial(dataset.images, shared=workers > 0), batches, workers):
            between()
            codes.append(model(images.to(device)).float().cpu())
    finally:
        model.train(training)
    return torch.cat(codes).numpy()
