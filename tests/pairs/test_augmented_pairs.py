from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from tests.conftest import make_images
from threedident import AugmentedPairs, ThreeDIdent


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ThreeDIdent:
    return ThreeDIdent(make_images(tmp_path_factory.mktemp("images"), n=40))


def test_two_different_views_of_one_image(data: ThreeDIdent) -> None:
    pairs = AugmentedPairs(data)
    batch = pairs.batch(range(40))
    assert batch.image.dtype == torch.uint8
    assert torch.equal(batch.latents, batch.positive_latents)
    differ = (batch.image != batch.positive_image).flatten(1).any(dim=1)
    assert differ.float().mean() > 0.95


def test_views_are_augmentations_of_the_row(data: ThreeDIdent) -> None:
    flips = AugmentedPairs(data, v2.RandomHorizontalFlip())
    rows, seen = flips.draw(np.arange(60)).anchors, set()
    for row, view in zip(rows, flips.batch(range(60)).image, strict=True):
        image = data[row][0]
        flipped = torch.equal(view, image.flip(-1))
        assert flipped or torch.equal(view, image)
        seen.add(flipped)
    assert seen == {True, False}


def test_the_global_generator_is_neither_used_nor_moved(data: ThreeDIdent) -> None:
    pairs = AugmentedPairs(data)
    torch.manual_seed(1)
    first = pairs[5]
    after = torch.rand(3)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(3), after)
    assert torch.equal(pairs[5].image, first.image)


def test_anchors_with_replacement_come_in_any_number(data: ThreeDIdent) -> None:
    pairs = AugmentedPairs(data)
    drawn = pairs.with_replacement()
    assert len(set(pairs.draw(np.arange(40)).anchors)) == 40
    assert len(set(drawn.draw(np.arange(40)).anchors)) < 40
    assert "each once an epoch" in repr(pairs)
    assert "drawn with replacement" in repr(drawn)


def test_a_transform_belongs_into_augment(data: ThreeDIdent) -> None:
    changed = ThreeDIdent(data.folder.root, transform=lambda picture: picture)
    with pytest.raises(ValueError, match="give it as augment"):
        AugmentedPairs(changed)
