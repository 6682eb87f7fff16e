"""Sources: an endless sequence of batches to train on, and a split to score on.

A batch depends only on the seed and the number of the step. It does not depend on the device or
the number of processes and ranks. The sources are:

- :class:`benchmark.sources.images.ImageSource`: rendered images, with three kinds of pairs,
- :class:`benchmark.sources.mixing.MixingSource`: latents mixed by a random MLP,
- :class:`benchmark.sources.kitti_masks.masks.MaskSource`: KITTI Masks,
- sources of users, see :mod:`benchmark.sources.custom.made`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.pages.picture import Picture
from benchmark.ranks import Ranks
from benchmark.settings import CustomSettings, ImageSettings, MaskSettings, MixingSettings
from threedident.conditionals.rules.rule import Rule
from threedident.pairs.delivered import Delivered


@dataclass(frozen=True)
class Machine:
    """Devices and processes of a run. The results should not depend on them.

    Arguments:
        device: device of the model.
        workers: number of loader processes, for images that are not packed.
        ranks: the processes that share every step.
        compiled: True if torch compiles the encoder.
    """

    device: torch.device
    workers: int = 0
    ranks: Ranks = field(default_factory=Ranks)
    compiled: bool = False


class SourceFailed(ValueError):  # noqa: N818
    """A source of users failed in a run; the message says how."""


class Batch(NamedTuple):
    """Observations, their positives, and the latents of the anchors.

    Arguments:
        anchors: observations, shape (B, ...).
        positives: positives of the anchors, shape (B, ...); None for supervised training.
        latents: latents of the anchors, shape (B, d). For supervised training, the targets of
            regression, shape (B, number of codes).
        rows: numbers of the anchors' rows, shape (B,); None if anchors are not rows of a table.
    """

    anchors: Tensor
    positives: Tensor | None
    latents: Tensor
    rows: Tensor | None = None

    @property
    def observations(self) -> list[Tensor]:
        """Anchors and, if there are any, positives."""
        return [self.anchors] if self.positives is None else [self.anchors, self.positives]

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device, which is not waited for."""
        moved = (None if each is None else each.to(device, non_blocking=True) for each in self)
        return Batch(*moved)  # type: ignore[arg-type]


class Source(ABC):
    """Batches to train on and a split to score on, by default the test split.

    Attributes:
        settings: settings that identify this source. A run sets those of a user's source.
        shape: shape of one observation.
        identity: text that identifies the scored split of a user's source, for example a digest
            of its files. Only runs with the same text are ranked together. By default it consists
            of the import path, the arguments and the latents of the scored split.
        counted: the things that :attr:`size` counts, in words.
        root: path of the data set; None for a source without files.
    """

    counted: str = "the images of the train split"
    root: Path | None = None
    identity: str | None = None
    settings: ImageSettings | MixingSettings | MaskSettings | CustomSettings
    shape: tuple[int, ...]

    @property
    @abstractmethod
    def labels(self) -> Sequence[str]:
        """Names of the factors."""

    @property
    @abstractmethod
    def size(self) -> int | None:
        """Number of pairs or images in an epoch; None if there are no epochs."""

    @property
    def rows(self) -> int | None:
        """Number of rows that anchors are taken from; None if anchors are not rows of a table."""
        return None

    @abstractmethod
    def batches(
        self, seed: int, steps: range, batch_size: int, machine: Machine
    ) -> Iterator[Batch]:
        """This rank's share of the batch of each step, on the machine's device.

        A batch depends only on the seed and the number of the step.

        Arguments:
            seed: seed of the run.
            steps: consecutive numbers of steps.
            batch_size: number of pairs or observations over all ranks.
            machine: machine with the device and the ranks.
        """

    @abstractmethod
    def latents(self, seed: int) -> NDArray[np.float32]:
        """Factors of the scored split, shape (N, n). Circular ones are in rad."""

    @abstractmethod
    def held_out(self, seed: int, rows: int, machine: Machine) -> Iterator[Tensor]:
        """The first ``rows`` observations of the scored split, in batches on the device."""

    @property
    def codes(self) -> int:
        """Number of codes of an encoder; by default the number of factors."""
        return len(self.labels)

    @property
    def sphere(self) -> int:
        """Number of codes on a sphere, which come last; 0 without a sphere."""
        return 0

    @property
    def circular(self) -> tuple[bool, ...] | None:
        """True for each factor that is an angle without ends; None if no factor is."""
        return None

    def roles(self) -> dict[str, list[int]] | None:
        """Numbers of the factors of each role: content, style, private; None without a rule."""
        return None

    def preprocess(self) -> nn.Module:
        """A module that maps raw observations to inputs of the encoder."""
        return nn.Identity()

    @abstractmethod
    def summary(self) -> str:
        """Description of the source in one line."""

    def facts(self) -> dict[str, str]:
        """Facts on the data for the report, by name."""
        return {"source": self.summary()}

    def pictures(self, delivered: Delivered | None) -> dict[str, Picture]:  # noqa: ARG002
        """Figures of the data and of the delivered steps, by name.

        Arguments:
            delivered: result of :meth:`delivered`.
        """
        return {}

    def examples(
        self,
        seed: int,  # noqa: ARG002
        codes: NDArray[np.float32],  # noqa: ARG002
    ) -> dict[str, Picture]:
        """Figures of pairs and of neighbours in code space, by name; none without images.

        Arguments:
            seed: seed of the pairs.
            codes: codes of the first rows of the scored split, shape (N, m).
        """
        return {}

    def delivered(self, seed: int) -> Delivered | None:  # noqa: ARG002
        """Requested and delivered steps of the pairs; None if the source has none to compare."""
        return None

    def ceiling(self) -> NDArray[np.float64] | None:
        """The best R^2 that the data allow for each factor, shape (n,); None without a bound."""
        return None


def role_groups(rule: Rule, names: Sequence[str]) -> dict[str, list[int]]:
    """Numbers of the named factors of each role of a rule; roles without a factor are left out."""
    found: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        found.setdefault(rule.roles[name], []).append(number)
    return found
