from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from threedident import Normal, RenderedPairs, ThreeDIdent
from threedident.conditionals.rules.spelling import parse_conditional

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("split", ["train", "test"])
def test_each_image_comes_with_its_own_positive(paired: Path, split: str) -> None:
    pairs = RenderedPairs(ThreeDIdent(paired, split), length=20)
    positives = ThreeDIdent(paired, f"{split}/positives")
    seen = set()
    for number in range(20):
        row = int(pairs.draw(np.array([number])).anchors[0])
        pair = pairs[number]
        assert torch.equal(pair.image, pairs.dataset[row][0])
        assert torch.equal(pair.positive_image, positives[row][0])
        assert torch.equal(pair.positive_latents, positives[row][1])
        seen.add(row)
    assert len(seen) > 2


def test_the_conditional_is_that_of_the_manifest(paired: Path) -> None:
    pairs = RenderedPairs(ThreeDIdent(paired))
    assert pairs.conditional == parse_conditional("normal:0.1", "box", {})
    [part] = pairs.conditional.parts
    assert part.conditional == Normal(0.1)


def test_smaller_images_on_both_sides(paired: Path) -> None:
    pairs = RenderedPairs(ThreeDIdent(paired, resolution=8))
    assert pairs[0].image.shape == pairs[0].positive_image.shape == (3, 8, 8)


def test_no_positives(rendered: Path) -> None:
    with pytest.raises(ValueError, match="expected positives rendered beside the images"):
        RenderedPairs(ThreeDIdent(rendered))


def test_positives_of_fewer_images(paired: Path, tmp_path: Path) -> None:
    root = shutil.copytree(paired, tmp_path / "data")
    shutil.rmtree(root / "train/positives")
    shutil.copytree(paired / "test/positives", root / "train/positives")
    with pytest.raises(ValueError, match="expected 10 positives, one for each image, found 4"):
        RenderedPairs(ThreeDIdent(root))


def test_positives_of_other_images(paired: Path, tmp_path: Path) -> None:
    root = shutil.copytree(paired, tmp_path / "data")
    manifest = root / "train/positives/dataset.json"
    manifest.write_text(manifest.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ValueError, match="found those of others"):
        RenderedPairs(ThreeDIdent(root))
