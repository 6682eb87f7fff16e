"""What encoders are trained on: an endless, addressed sequence of batches, and a test split.

Step t of a seed is always the same batch, wherever and by however many processes and ranks it is
made:

- :class:`benchmark.sources.images.ImageSource`: rendered images, with three kinds of pairs,
- :class:`benchmark.sources.mixing.MixingSource`: latents mixed by a random MLP,
- :class:`benchmark.sources.masks.MaskSource`: KITTI Masks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.config import ImageSettings, MaskSettings, MixingSettings
from benchmark.pages.panels import Picture
from benchmark.ranks import Ranks
from threedident.pairs.delivered import Delivered


@dataclass(frozen=True)
class Machine:
    """Where a run computes: none of its numbers should depend on it.

    Arguments:
        device: of the model.
        workers: loader processes, where images are not packed.
        ranks: the processes that share every step.
        compiled: whether torch compiles the encoder.
    """

    device: torch.device
    workers: int = 0
    ranks: Ranks = field(default_factory=Ranks)
    compiled: bool = False


class Batch(NamedTuple):
    """Observations, and what the loss compares their codes with.

    Arguments:
        anchors: observations, shape (B, ...).
        positives: their positives, or None for supervised training.
        latents: of the anchors, (B, n).
    """

    anchors: Tensor
    positives: Tensor | None
    latents: Tensor

    @property
    def observations(self) -> list[Tensor]:
        """The views that there are."""
        return [self.anchors] if self.positives is None else [self.anchors, self.positives]

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        positives = None if self.positives is None else self.positives.to(device)
        return Batch(self.anchors.to(device), positives, self.latents.to(device))


class Source(ABC):
    """Batches to train on and a test split to score on.

    Attributes:
        settings: all that tells this source from others.
        shape: of one observation.
        codes: how many codes an encoder gives, by default as many as there are factors.
        spare_codes: whether there are more codes than factors.
        counted: what :attr:`size` counts, in words.
        root: where the data set lies; None where there is none.
    """

    spare_codes: ClassVar[bool] = False
    counted: str = "the images of the train split"
    root: Path | None = None
    settings: ImageSettings | MixingSettings | MaskSettings
    shape: tuple[int, ...]

    @property
    @abstractmethod
    def labels(self) -> Sequence[str]:
        """Names of the factors."""

    @property
    @abstractmethod
    def size(self) -> int | None:
        """How many pairs or images an epoch has; None where they never end."""

    @abstractmethod
    def batches(
        self, seed: int, steps: range, batch_size: int, machine: Machine
    ) -> Iterator[Batch]:
        """This rank's share of the batch of each step, on the machine's device.

        Arguments:
            seed: with a step's number, all that its batch depends on.
            steps: consecutive.
            batch_size: over all ranks.
            machine: where batches are wanted.
        """

    @abstractmethod
    def latents(self, seed: int) -> NDArray[np.float32]:
        """Latents of the test split, shape (N, n)."""

    @abstractmethod
    def held_out(self, seed: int, rows: int, machine: Machine) -> Iterator[Tensor]:
        """The first observations of the test split, in order, in batches on the device."""

    @property
    def codes(self) -> int:
        """How many codes an encoder gives."""
        return len(self.labels)

    def preprocess(self) -> nn.Module:
        """From observations as they are to what an encoder takes."""
        return nn.Identity()

    @abstractmethod
    def summary(self) -> str:
        """What this is, in a line."""

    def facts(self) -> dict[str, str]:
        """What a report says of the data, by name."""
        return {"source": self.summary()}

    def pictures(self, delivered: Delivered | None) -> dict[str, Picture]:  # noqa: ARG002
        """Figures of the data and of what :meth:`delivered` found, by name."""
        return {}

    def examples(
        self,
        seed: int,  # noqa: ARG002
        codes: NDArray[np.float32],  # noqa: ARG002
    ) -> dict[str, Picture]:
        """Pairs of a seed and neighbours in code space, by name; none where nothing is seen.

        Arguments:
            seed: of the pairs.
            codes: of the first rows of the test split, shape (N, m).
        """
        return {}

    def delivered(self, seed: int) -> Delivered | None:  # noqa: ARG002
        """What the pairs deliver of the conditional, where that differs."""
        return None

    def ceiling(self) -> NDArray[np.float64] | None:
        """The best R^2 that the data allow each factor, where that is less than 1."""
        return None
