"""Positive pairs that were rendered exactly, by ``threedident render --pairs``."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import Subset

from threedident.dataset.split import ThreeDIdent
from threedident.pairs.core import Pairs
from threedident.pairs.pair import Draw
from threedident.runtime.arrays import is_tensor


class RenderedPairs(Pairs):
    """Pairs of each image and the positive rendered for it, each once per epoch.

    Arguments:
        dataset: ``train`` or ``test`` split of a data set rendered with ``--pairs``, or a torch
            ``Subset`` of one.
        seed: from 0 to 2^63 - 1. An item depends only on the seed, the epoch and its number.
        length: number of pairs per epoch, by default one per image. Item k does not depend on it.

    Attributes:
        conditional: density from which the positives were drawn.
        rule: rule from anchors to positives.

    Raises:
        ValueError: no positives were rendered, or they belong to other images.

    Example:
        pairs = RenderedPairs(ThreeDIdent("data/pairs"))
    """

    def __init__(
        self, dataset: ThreeDIdent | Subset[Any], *, seed: int = 0, length: int | None = None
    ) -> None:
        super().__init__(dataset, seed, length)
        dataset = self.dataset
        folder = dataset.folder
        if not folder.positives.path.is_dir():
            raise ValueError(
                f"{folder.positives.path}: expected positives rendered beside the images, found "
                "none; render with --pairs, or take pairs by nearest latent"
            )
        positives = ThreeDIdent(
            folder.root,
            f"{folder.split}/{folder.positives.split}",
            dataset.transform,
            resolution=dataset.resolution,
        )
        count = len(dataset) if dataset.manifest is None else dataset.manifest.n
        if len(positives) != count:
            raise ValueError(
                f"{folder.positives.path}: expected {count} positives, one for each image, found "
                f"{len(positives)}; give the same render command again"
            )
        assert positives.manifest is not None
        origin = positives.manifest.origin
        ours = None if dataset.manifest is None else dataset.manifest.origin
        if origin.conditional is None or origin.model_copy(update={"conditional": None}) != ours:
            raise ValueError(
                f"{folder.positives.path}: expected positives of the images in {folder.path}, "
                "found those of others; give the same render command again"
            )
        self.positives = positives if dataset.rows is None else positives.take(dataset.rows)
        self.rule = origin.rule()
        self.conditional = self.rule.conditional()

    def law(self) -> dict[str, str]:
        """See :class:`threedident.pairs.core.Pairs`."""
        assert self.positives.manifest is not None
        return {
            "anchors": self._epochs.law(),
            "positives": f"rendered exactly, from {self.positives.manifest.origin.conditional}",
        }

    def draw(self, items: Any) -> Draw:
        """See :class:`threedident.pairs.core.Pairs`.

        ``z_positive`` is drawn again here, independent of the rendered positives, so that the two
        can be compared.
        """
        u = self._uniforms(items, self.conditional.count(self.dataset.latents.shape[1]))
        anchors = self._epochs.rows(items)
        z = self._latents_of(anchors)
        return Draw(anchors, anchors, z, self.conditional.transform(z, u))

    def _numbers(self, items: Any) -> Any:
        """See :class:`threedident.pairs.core.Pairs`: the numbers of the rendered positives."""
        assert self.positives.manifest is not None
        rows, chosen = self._epochs.rows(items), self.dataset.rows
        if chosen is not None:
            rows = (
                torch.from_numpy(chosen).to(rows.device)[rows] if is_tensor(rows) else chosen[rows]
            )
        return self.positives.manifest.origin.uniforms(rows)
