"""Sound specimens of all that is read from outside, made in seconds and without Blender."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from render.jobs.finish import finish
from render.workers.journal import append, open_journal, record_of
from render.workers.plan import Plan, write_plan
from tests.conftest import make_images
from threedident.dataset.annotations import annotation_picture
from threedident.dataset.packing import Packing
from threedident.storage.folder import SplitFolder
from threedident.storage.manifest import Rendering
from threedident.storage.origin import Origin

EDGE = 16
ROWS = {"train": 6, "test": 4}
RENDERING = Rendering(
    resolution=EDGE,
    quality="draft",
    hue_mode="wrapped",
    annotations=("mask", "depth"),
    device="cpu",
    blender="4.5.15",
    fingerprint="0123456789abcdef",
)


def draw(folder: SplitFolder, plan: Plan, raw: NDArray[np.float32]) -> None:
    """What rendering leaves of a split before its end: pictures, journal and plan."""
    write_plan(folder, plan, raw)
    names, rng = plan.rendering.annotations, np.random.default_rng(len(raw))
    with open_journal(folder, "0") as journal:
        for row in range(len(raw)):
            image = rng.integers(0, 256, (EDGE, EDGE, 3), dtype=np.uint8)
            labels = rng.integers(0, 3, (EDGE, EDGE), dtype=np.uint8)
            depths = rng.uniform(20, 60, (EDGE, EDGE)).astype(np.float32)
            pictures = [annotation_picture(name, labels, depths) for name in names]
            places = folder.pictures(row, names)
            for picture, place in zip([Image.fromarray(image), *pictures], places, strict=True):
                picture.save(place)
            append(journal, record_of(row, image, [place.read_bytes() for place in places]))


def make_split(folder: SplitFolder, plan: Plan, raw: NDArray[np.float32]) -> None:
    """A split as rendering leaves it at its end."""
    draw(folder, plan, raw)
    finish(folder, plan, raw, None)
    shutil.rmtree(folder.scratch)


def make_rendered(root: Path) -> Path:
    """A data set as Blender's would be, annotated, with positives beside its train split."""
    train, test = (SplitFolder(root, split) for split in ROWS)
    origins = {
        train: Origin(split="train", seed=0),
        test: Origin(split="test", seed=0),
        train.positives: Origin(split="train", seed=0, conditional="normal:0.1"),
    }
    anchors = origins[train].draw(ROWS["train"])
    for folder, origin in origins.items():
        n = ROWS["test" if folder == test else "train"]
        raw = origin.draw(n, None if origin.conditional is None else anchors)
        make_split(folder, Plan(origin=origin, rendering=RENDERING), raw)
    return root


def make_packed(root: Path) -> Path:
    """A rendered data set with a pack of its train split."""
    make_rendered(root)
    Packing(SplitFolder(root, "train")).run(lambda _: None)
    return root


def make_published(root: Path) -> Path:
    """A data set as the published one, which no digest vouches for."""
    return make_images(root, n=6, n_test=4, edge=EDGE)


class Tiny(nn.Module):
    """An encoder of few weights, so that its checkpoints are small."""

    def __init__(self, codes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, codes))

    def forward(self, images: Tensor) -> Tensor:
        codes: Tensor = self.layers(images)
        return codes
