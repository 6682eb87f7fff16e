"""Sound specimens of all that is read from outside, made in seconds and without Blender."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from render.finish import finish
from render.journal import append, open_journal, record_of
from render.plan import Plan, write_plan
from tests.conftest import make_images
from threedident.annotations import annotation_picture
from threedident.manifest import Rendering
from threedident.origin import Origin
from threedident.packing import Packing
from threedident.storage import SplitFolder

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


def draw(folder: SplitFolder, origin: Origin, n: int) -> None:
    """What rendering leaves of a split before its end: pictures, journal and plan."""
    plan = Plan(origin=origin, rendering=RENDERING)
    raw = rows_of(origin, n)
    write_plan(folder, plan, raw)
    rng = np.random.default_rng(n)
    with open_journal(folder, "0") as journal:
        for row in range(n):
            image = rng.integers(0, 256, (EDGE, EDGE, 3), dtype=np.uint8)
            labels = rng.integers(0, 3, (EDGE, EDGE), dtype=np.uint8)
            depths = rng.uniform(20, 60, (EDGE, EDGE)).astype(np.float32)
            pictures = [
                Image.fromarray(image),
                annotation_picture("mask", labels, depths),
                annotation_picture("depth", labels, depths),
            ]
            places = folder.pictures(row, RENDERING.annotations)
            for picture, place in zip(pictures, places, strict=True):
                picture.save(place)
            contents = [place.read_bytes() for place in places]
            append(journal, record_of(row, image, contents))


def make_rendered(root: Path) -> Path:
    """A data set as Blender's would be, annotated, with positives beside its train split."""
    places = [
        (SplitFolder(root, split), Origin(split=split, seed=0), n) for split, n in ROWS.items()
    ]
    train = SplitFolder(root, "train")
    near = Origin(split="train", seed=0, conditional="normal:0.1")
    for folder, origin, n in [*places, (train.positives, near, ROWS["train"])]:
        draw(folder, origin, n)
        finish(folder, Plan(origin=origin, rendering=RENDERING), rows_of(origin, n), None)
        shutil.rmtree(folder.scratch)
    return root


def rows_of(origin: Origin, n: int) -> NDArray[np.float32]:
    """The raw latents of an origin, positives around those of its marginal."""
    if origin.conditional is None:
        return origin.draw(n)
    return origin.draw(n, origin.model_copy(update={"conditional": None}).draw(n))


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
