"""One pair, or a batch of pairs: images, latents, and what was drawn for them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch


class Pair(NamedTuple):
    """Two images and their raw latents, for one pair or for a batch.

    The latents are None if the loader leaves them out.
    """

    image: Any
    positive_image: Any
    latents: torch.Tensor | None
    positive_latents: torch.Tensor | None


class MarkedPair(Pair):
    """A batch of pairs that follow a rule. It unpacks into the four fields of :class:`Pair`.

    Attributes:
        changed: the factors that the rule changes, shape (B, factors), bool, see
            :meth:`Pairs.changed`.
    """

    changed: torch.Tensor


class Draw(NamedTuple):
    """Pairs without images, as arrays, or as tensors on one device.

    Arguments:
        anchors: rows of the anchors, shape (B,).
        positives: rows of the positives in their own split, shape (B,).
        z: anchors before the lookup of their images, shape (B, d).
        z_positive: positives drawn from the conditional around ``z``, before the lookup of their
            images, shape (B, d).
    """

    anchors: Any
    positives: Any
    z: Any
    z_positive: Any
