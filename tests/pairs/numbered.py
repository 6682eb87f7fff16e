"""Pairs by number."""

from __future__ import annotations

from collections import Counter

import torch

from threedident.pairs.pair import Pair

N = 120


def same(a: Pair, b: Pair) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def anchors(batches: object) -> Counter[tuple[float, ...]]:
    """How often each anchor is there, by its latents."""
    rows = torch.cat([batch.latents for batch in batches])  # type: ignore[attr-defined]
    return Counter(map(tuple, rows.tolist()))
