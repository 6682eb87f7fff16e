from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision import transforms
from torchvision.transforms import v2

from tests.conftest import make_images
from threedident import AugmentedPairs, ThreeDIdent
from threedident.pairs.augmented import simclr


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


def test_all_of_simclrs_augmentations_take_part(data: ThreeDIdent) -> None:
    augment = simclr(16)
    image = data[0][0]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        views = torch.stack([augment(image) for _ in range(300)]).float()
    grey = (views.amax(dim=1) - views.amin(dim=1)).flatten(1).amax(dim=1) < 2
    assert 0.1 < grey.float().mean() < 0.35
    assert views.mean(dim=(1, 2, 3)).std() > 10


def test_published_crops_are_bicubic_and_never_blurred(data: ThreeDIdent) -> None:
    image = data[0][0]
    crop, *_ = simclr(16, bicubic=True, blurred=False).transforms  # type: ignore[attr-defined]
    for seed in range(5):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            place = transforms.RandomResizedCrop.get_params(image, (0.08, 1.0), (3 / 4, 4 / 3))
            torch.manual_seed(seed)
            found = crop(image)
        picture = transforms.functional.to_pil_image(image)
        bicubic = transforms.InterpolationMode.BICUBIC
        resized = transforms.functional.resized_crop(picture, *place, [16, 16], bicubic)
        expected = transforms.functional.pil_to_tensor(resized)
        assert (found.int() - expected.int()).abs().max() <= 1
    names = repr(simclr(16, bicubic=True, blurred=False))
    assert "GaussianBlur" not in names
    assert "GaussianBlur" in repr(simclr(16))


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
