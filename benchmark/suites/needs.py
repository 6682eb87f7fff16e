"""The data set that the rows of a table need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from threedident.latents.factor_set import FactorSet
from threedident.latents.factors import NAMES
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import open_latents, open_manifest

HueMode = Literal["wrapped", "published"]


@dataclass(frozen=True)
class Needs:
    """Requirements of a table on its data set.

    Arguments:
        space: latent space.
        hues: hue modes that fit.
        factors: names of factors that must vary.
    """

    space: str = "box"
    hues: tuple[HueMode, ...] = ("wrapped", "published")
    factors: tuple[str, ...] = NAMES

    def spell(self) -> str:
        """The requirements in words."""
        every = self.factors == NAMES
        factors = "all ten factors" if every else f"the factors {', '.join(self.factors)}"
        return f"the {self.space} space, hue mode {' or '.join(self.hues)}, {factors} free"

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
        if found:
            raise ValueError(
                f"--data: expected a data set for the suite {suite} ({self.spell()}), found "
                f"{', '.join(found)} in {data}; render one that fits"
            )
