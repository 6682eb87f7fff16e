"""Rendered images, with positives by nearest-latent lookup, rendered exactly, or augmented.

Packed images are gathered on the device of the encoder. Other images come from loader processes.
The batches are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.metrics.hue_ceiling import ceiling
from benchmark.pages.picture import Picture
from benchmark.protocol import OURS, Procedure, Scored
from benchmark.settings import ImageSettings
from benchmark.sources import examples
from benchmark.sources import figures as data_figures
from benchmark.sources.image_laws import nearest_law, rendered_law
from benchmark.sources.normalise import Normalise
from benchmark.sources.source import Batch, Machine, Source, role_groups
from benchmark.sources.splits import identity, scored_factors
from threedident.augmentations.simclr import SimCLR
from threedident.conditionals.conditional import Conditional
from threedident.conditionals.law import Law
from threedident.conditionals.rules.spelling import parse_rule
from threedident.dataset.split import ThreeDIdent
from threedident.index.nearest import NearestLatents
from threedident.latents.factor_set import FactorSet
from threedident.latents.factors import NAMES
from threedident.pairs.augmented import AugmentedPairs
from threedident.pairs.core import Pairs
from threedident.pairs.delivered import Delivered
from threedident.pairs.epochs import NUMBERING, Epochs
from threedident.pairs.loader import ahead, load, slices
from threedident.pairs.nearest import Anchor, PositivePairs
from threedident.pairs.pair import Pair
from threedident.pairs.rendered import RenderedPairs
from threedident.pairs.resident import ResidentImages, ResidentPairs, fits, moved
from threedident.storage.manifest import Material

_EVALUATED = 256
_PUBLISHED_ROWS = 250_000, 25_000  # the published archive has no manifest

PairKind = Literal["nearest", "rendered", "augmented"]


class ImageSource(Source):
    """The images of a data set.

    Arguments:
        splits: train and test split.
        pairs: kind of positive pairs; None for supervised training.
        conditional: conditional law of nearest pairs.
        rule: rule of nearest pairs, in place of a law.
        anchor: kind of anchors of nearest pairs.
        chosen: names of the factors to encode and score; None for all. Factors that are constant
            are left out.
        procedure: procedure that decides augmentations, normalisation, and scored rows.
        score_on: split that is scored.

    Raises:
        ValueError: these images do not allow pairs of this kind, or no chosen factor varies.
    """

    settings: ImageSettings

    def __init__(
        self,
        splits: tuple[ThreeDIdent, ThreeDIdent],
        pairs: PairKind | None = "nearest",
        conditional: Law | None = None,
        anchor: Anchor = "row",
        rule: str | None = None,
        chosen: Sequence[str] | None = None,
        procedure: Procedure = OURS,
        score_on: Literal["test", "train"] = "test",
    ) -> None:
        self.train, self.test = splits
        self.factors = scored_factors(splits, chosen)
        self._scored = self.train if score_on == "train" else self.test
        self._procedure = procedure
        self._statistics: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
        self.root = self.train.folder.root
        law = conditional if pairs == "nearest" else None
        identities = {split.folder.split: identity(split) for split in splits}
        material = None
        if pairs == "rendered":
            rendered = RenderedPairs(self.train).positives
            material = _other_material(self.train, rendered)
            law, rule = rendered_law(rendered)
            identities["positives"] = identity(rendered)
        self.settings = ImageSettings(
            pairs=pairs,
            anchor=anchor if pairs == "nearest" else None,
            conditional=law,
            data=identities,
            resolution=self.train.resolution,
            numbering=NUMBERING,
            space=self.factors.space,
            factors=self.factors.names,
            rule=rule,
            positive_material=material,
        )
        self.shape = (3, self.train.resolution, self.train.resolution)
        self._index: NearestLatents | None = None
        self._law: Conditional | str
        if pairs == "nearest":
            self._law = nearest_law(self.settings) if rule is None else rule

    @property
    def labels(self) -> Sequence[str]:
        """See :class:`Source`."""
        return self.factors.labels

    @property
    def circular(self) -> tuple[bool, ...] | None:
        """See :class:`Source`."""
        return self.factors.circular if any(self.factors.circular) else None

    @property
    def codes(self) -> int:
        """See :class:`Source`."""
        return count_codes(self.settings)

    @property
    def sphere(self) -> int:
        """See :class:`Source`."""
        return count_on_sphere(self.settings)

    @property
    def size(self) -> int:
        """See :class:`Source`."""
        return len(self.train)

    @property
    def rows(self) -> int | None:
        """See :class:`Source`."""
        return None if self.settings.anchor == "marginal" else len(self.train)

    def roles(self) -> dict[str, list[int]] | None:
        """See :class:`Source`."""
        if self.settings.rule is None:
            return None
        return role_groups(parse_rule(self.settings.rule, self.train.layout), self.factors.names)

    def preprocess(self) -> nn.Module:
        """See :class:`Source`."""
        if self._statistics is None:
            mean, std = self.train.channel_statistics()
            if self._procedure.image_deviations:
                std = self.train.image_deviations()
            self._statistics = mean, std
        return Normalise(*self._statistics)

    def pairs(self, seed: int) -> Pairs | None:
        """The pairs of one seed; None for supervised training."""
        if self.settings.pairs is None:
            return None
        pairs = self._pairs(seed)
        return pairs.with_replacement() if self._procedure.replacement else pairs

    def _pairs(self, seed: int) -> Pairs:
        settings = self.settings
        if settings.pairs == "rendered":
            return RenderedPairs(self.train, seed=seed)
        if settings.pairs == "augmented":
            published = self._procedure.published_crops
            augment = SimCLR(bicubic=published, blurred=not published)
            return AugmentedPairs(self.train, augment, seed=seed)
        assert settings.anchor is not None
        if self._index is None:
            counted = None if settings.rule is not None else self._counted()
            self._index = NearestLatents(self.train.latents, factors=counted)
        return PositivePairs(
            self.train, self._law, anchor=settings.anchor, index=self._index, seed=seed
        )

    def _counted(self) -> tuple[str, ...] | None:
        """The factors whose distances count in a lookup; None for all columns."""
        every = FactorSet(self.factors.space).varying(self.train.latents)
        if self.factors == every and (any(every.circular) or every.names == NAMES):
            return None
        return self.factors.names

    def summary(self) -> str:
        """See :class:`Source`."""
        images = f"{len(self.train)} train and {len(self.test)} test images"
        names = self.factors.names
        which = "" if names == NAMES else f", factors {', '.join(names)}"
        return f"{self.train.folder.root}: {images}{which}"

    def facts(self) -> dict[str, str]:
        """See :class:`Source`."""
        return {
            f"{split.folder.split} split": _describe(split) for split in (self.train, self.test)
        }

    def pictures(self, delivered: Delivered | None) -> dict[str, Picture]:
        """See :class:`Source`."""
        pictures = {"traversal": data_figures.traversal(self.train, self.factors)}
        if delivered is None:
            return pictures
        return {"delivered": data_figures.delivered(delivered), **pictures}

    def examples(self, seed: int, codes: NDArray[np.float32]) -> dict[str, Picture]:
        """See :class:`Source`."""
        found = {"neighbours": examples.nearest(codes, self._scored.images)}
        pairs = self.pairs(seed)
        if pairs is None:
            return found
        pair = pairs.batch(range(examples.SHOWN))
        return {"pairs": examples.pairs(pair.image, pair.positive_image), **found}

    def delivered(self, seed: int) -> Delivered | None:
        """See :class:`Source`."""
        pairs = self.pairs(seed)
        return None if pairs is None or pairs.changes_images else pairs.delivered()

    def ceiling(self) -> NDArray[np.float64] | None:
        """See :class:`Source`."""
        manifest = self.train.manifest
        published = (len(self.train), len(self.test)) == _PUBLISHED_ROWS
        if self.factors.space != "box" or (manifest is None and not published):
            return None
        mode = "published" if manifest is None else manifest.rendering.hue_mode
        places = [NAMES.index(name) for name in self.factors.names]
        return ceiling(mode).r2_per_factor[places]

    def batches(
        self, seed: int, steps: range, batch_size: int, machine: Machine
    ) -> Iterator[Batch]:
        """See :class:`Source`."""
        numbers, device = self._numbers(steps, batch_size, machine), machine.device
        epochs = self._epochs(seed)
        for items, batch in zip(numbers, self._batches(seed, numbers, machine), strict=True):
            rows = None if self.rows is None else moved(epochs.rows(items), device)
            yield batch._replace(rows=rows)

    def _numbers(self, steps: range, batch_size: int, machine: Machine) -> list[range]:
        """The numbers of this rank's pairs or images in each step."""
        ranks, epoch = machine.ranks, len(self.train)
        return slices(batch_size, steps.start, steps.stop, ranks.rank, ranks.count, epoch=epoch)

    def _epochs(self, seed: int) -> Epochs:
        """The rows of anchors by number."""
        return Epochs(seed, len(self.train), replacement=self._procedure.replacement)

    def _batches(self, seed: int, numbers: list[range], machine: Machine) -> Iterator[Batch]:
        pairs, device, rows = self.pairs(seed), machine.device, self._epochs(seed)
        if fits(self.train if pairs is None else pairs, device):
            fetch = self._resident(rows, pairs, device)
            yield from (
                map(fetch, numbers) if device.type == "cpu" else ahead(fetch, numbers, device)
            )
        else:
            workers = machine.workers
            fetch = partial(self._load, rows, pairs, workers > 0)
            loaded = load(fetch, numbers, workers, pin=device.type == "cuda")
            yield from (batch.to(device) for batch in loaded)

    def _load(self, epochs: Epochs, pairs: Pairs | None, shared: bool, items: range) -> Batch:
        """One batch on the CPU."""
        if pairs is not None:
            return _batch(pairs.batch(items, shared=shared))
        rows = epochs.rows(items)
        targets = torch.from_numpy(self.factors.targets(self.train.latents[rows]))
        return Batch(self.train.images(rows, shared=shared), None, targets)

    def _resident(
        self, epochs: Epochs, pairs: Pairs | None, device: torch.device
    ) -> Callable[[range], Batch]:
        """The function that makes the same batches on the device of the encoder."""
        if pairs is not None:
            resident = ResidentPairs(pairs, device)
            return lambda items: _batch(resident.batch(items))
        images = ResidentImages(self.train, device)
        targets = torch.from_numpy(self.factors.targets(self.train.latents)).to(device)

        def fetch(items: range) -> Batch:
            rows = moved(epochs.rows(items), device)
            return Batch(images.images(rows), None, targets.index_select(0, rows))

        return fetch

    def latents(self, seed: int) -> NDArray[np.float32]:  # noqa: ARG002
        """See :class:`Source`. The factors are the same for every seed."""
        return self.factors.values(self._scored.latents)

    def held_out(self, seed: int, rows: int, machine: Machine) -> Iterator[Tensor]:  # noqa: ARG002
        """See :class:`Source`."""
        size = self._procedure.scored.get("images", Scored(rows, _EVALUATED)).batch
        batches = [range(start, min(start + size, rows)) for start in range(0, rows, size)]
        fetch = partial(self._scored.images, shared=machine.workers > 0)
        for images in load(fetch, batches, machine.workers):
            yield images.to(machine.device)


def count_codes(settings: ImageSettings) -> int:
    """Number of codes of an encoder, by default.

    Contrastive codes are as many as the raw columns that encode the factors; regression predicts
    cosine and sine of each circular factor.
    """
    chosen = settings.factor_set
    return (
        len(chosen.names) + sum(chosen.circular) if settings.pairs is None else len(chosen.columns)
    )


def count_on_sphere(settings: ImageSettings) -> int:
    """Number of the last codes, which encode the circular factors as a point on a sphere."""
    chosen = settings.factor_set
    return 0 if settings.pairs is None else len(chosen.columns) - chosen.flat


def _other_material(anchors: ThreeDIdent, positives: ThreeDIdent) -> Material | None:
    """The material of positives, if it is not that of their anchors."""
    mine, theirs = anchors.manifest, positives.manifest
    assert mine is not None
    assert theirs is not None
    material = theirs.rendering.material
    return None if material == mine.rendering.material else material


def _describe(split: ThreeDIdent) -> str:
    """Description of a split for reports."""
    if split.manifest is None:
        return f"{len(split)} images, without a manifest"
    rendering, seed = split.manifest.rendering, split.manifest.origin.seed
    return (
        f"{len(split)} images, {rendering.resolution} px, quality {rendering.quality}, hue mode "
        f"{rendering.hue_mode}, {'' if seed is None else f'seed {seed}, '}Blender "
        f"{rendering.blender}, fingerprint {rendering.fingerprint}"
    )


def _batch(pair: Pair) -> Batch:
    assert pair.latents is not None
    return Batch(pair.image, pair.positive_image, pair.latents)
