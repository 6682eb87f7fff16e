"""The data set that the rows of a table need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from threedident.latents.factor_set import FactorSet
from threedident.latents.factors import NAMES
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import Manifest, open_latents, open_manifest, read_manifest

HueMode = Literal["wrapped", "published"]


@dataclass(frozen=True)
class Needs:
    """Requirements of a table on its data set.

    Arguments:
        space: latent space.
        hues: hue modes that fit.
        factors: names of factors that must vary.
        alone: True if all other factors must be constant.
        two_materials: True if every image needs a positive of another material.
    """

    space: str = "box"
    hues: tuple[HueMode, ...] = ("wrapped", "published")
    factors: tuple[str, ...] = NAMES
    alone: bool = False
    two_materials: bool = False

    def spell(self) -> str:
        """The requirements in words."""
        every = self.factors == NAMES
        factors = "all ten factors" if every else f"the factors {', '.join(self.factors)}"
        alone = " and all others held" if self.alone else ""
        positives = ", positives of another material" if self.two_materials else ""
        modes = " or ".join(self.hues)
        return f"the {self.space} space, hue mode {modes}, {factors} free{alone}{positives}"

    def check(self, suite: str, data: Path) -> None:
        """Check that a data set fits. The published archive has published hues.

        Arguments:
            suite: name of the suite, for the message.
            data: folder of the data set.

        Raises:
            ValueError: it does not fit, or is no data set.
        """
        folder = SplitFolder(data, "train")
        manifest = open_manifest(folder)
        space = "box" if manifest is None else manifest.origin.space
        hues = "published" if manifest is None else manifest.rendering.hue_mode
        free = FactorSet(space).varying(open_latents(folder, manifest)).names
        found = []
        if space != self.space:
            found.append(f"the {space} space")
        if hues not in self.hues:
            found.append(f"hue mode {hues}")
        if held := [name for name in self.factors if name not in free]:
            found.append(f"constant {', '.join(held)}")
        if self.alone and (others := [name for name in free if name not in self.factors]):
            found.append(f"free {', '.join(others)}")
        if self.two_materials and not _has_two_materials(folder, manifest):
            found.append("no such positives")
        if found:
            raise ValueError(
                f"--data: expected a data set for the suite {suite} ({self.spell()}), found "
                f"{', '.join(found)} in {data}; render one that fits"
            )


def _has_two_materials(folder: SplitFolder, manifest: Manifest | None) -> bool:
    positives = read_manifest(folder.positives)
    if manifest is None or positives is None:
        return False
    return positives.rendering.material != manifest.rendering.material
