"""The critic: the similarity of two codes that all losses of this folder compare."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmark.losses.contrastive import Comparison, compare
from benchmark.losses.similarities import (
    LpSimilarity,
    Similarity,
    SumSimilarity,
    parse_similarity,
)
from benchmark.losses.views import Views
from threedident.runtime.errors import unknown

# Adam moves a parameter by about the learning rate in a step. An offset has to move by nats.
_OFFSET_RATE = 10.0


class Critic(nn.Module):
    """Base class of the losses that compare similarities s(u, v) / t.

    Arguments:
        n: number of codes.
        similarity: ``dot``, ``cosine`` or ``lP``, or a sum such as ``l2+dot``.
        temperature: positive number t that divides the similarities.
        symmetric: True to use positives as anchors, too.
        learned_scales: True to learn a weight for each coordinate that ``lP`` compares.
        anchor_as_negative: True if an anchor is one of its own negatives, as published. The
            positives are then no anchors.
        sphere: number of the last codes, which encode a point on a sphere.

    Raises:
        ValueError: the similarity is unknown, has no weights to learn, or is a sum that does not
            fit the codes.
    """

    def __init__(
        self,
        n: int,
        similarity: str = "l2",
        temperature: float = 1.0,
        symmetric: bool = False,
        learned_scales: bool = False,
        anchor_as_negative: bool = False,
        sphere: int = 0,
    ) -> None:
        super().__init__()
        found = parse_similarity(similarity)
        if found is None:
            names = ("l1", "l2", "l3", "dot", "cosine")
            raise ValueError(unknown("similarity", similarity, names))
        summed = isinstance(found, SumSimilarity)
        if summed and not 0 < sphere < n:
            raise ValueError(
                f"similarity: expected one for codes of one kind, such as l2 or dot, found the "
                f"sum {similarity} for {n} codes, {sphere} of them on a sphere; take one of these"
            )
        if learned_scales and not isinstance(found, LpSimilarity | SumSimilarity):
            raise ValueError(
                f"learned_scales: expected with a similarity such as l2, found {similarity}; "
                "leave it out"
            )
        if learned_scales:
            self.log_scales = nn.Parameter(torch.zeros(n - sphere if summed else n))
        self._name, self.temperature = similarity, temperature
        self._anchors, self._learned = 2 if symmetric else 1, learned_scales
        self._itself, self._sphere = anchor_as_negative, sphere

    def similarity(self) -> Similarity:
        """The similarity with its current weights."""
        scales = self.log_scales.exp() if self._learned else None
        found = parse_similarity(self._name, scales, self._sphere)
        assert found is not None
        return found

    def compare(self, views: Views) -> Comparison:
        """The codes of a batch, prepared to be compared. Negatives come from all ranks."""
        pair = views.pair()
        negatives, first = None, None
        if views.ranks.count > 1 or self._itself:
            negatives = tuple(views.gather(codes) for codes in pair[: self._anchors])
            first = None if self._itself else views.ranks.rank * len(pair[0])
        return compare(pair, self._anchors, self.similarity(), self.temperature, negatives, first)


class Offset(nn.Module):
    """A learned number b that is added to similarities.

    It stands for the log of the normaliser of the model's conditional, which only InfoNCE and the
    decoupled loss do not need.

    Arguments:
        start: initial value.
    """

    def __init__(self, start: float) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.tensor(start / _OFFSET_RATE))

    def forward(self) -> Tensor:
        """The number b, shape ()."""
        return _OFFSET_RATE * self.value
