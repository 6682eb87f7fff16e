from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from threedident.augmentations import colour
from threedident.augmentations.resampling import blur_weights, crop_weights, resample
from threedident.augmentations.simclr import SimCLR, crop_places

SIZE = 24
COUNT = 40


def smooth(count: int = COUNT, size: int = SIZE) -> Tensor:
    """Images with all kinds of colours, (B, 3, H, H), uint8."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 6, 6, generator=generator) * 255
    fine = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")
    return fine.clamp(0, 255).to(torch.uint8)


def numbers(count: int, draws: int = SimCLR.draws, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, draws, generator=generator, dtype=torch.float64)


def as_levels(images: Tensor) -> Tensor:
    return images.permute(0, 2, 1, 3).float()


def as_images(levels: Tensor) -> Tensor:
    assert torch.equal(levels, levels.round())
    assert 0 <= levels.min() <= levels.max() <= 255
    return levels.permute(0, 2, 1, 3).to(torch.uint8)


def furthest(found: Tensor, wanted: Tensor) -> int:
    return int((found.int() - wanted.int()).abs().max())


@pytest.mark.parametrize(
    ("change", "theirs", "ends"),
    [
        (colour.brightness, functional.adjust_brightness, (0.0, 2.0)),
        (colour.contrast, functional.adjust_contrast, (0.0, 2.0)),
        (colour.saturation, functional.adjust_saturation, (0.0, 2.0)),
        (colour.hue, functional.adjust_hue, (-0.5, 0.5)),
    ],
)
def test_changes_of_colour_are_torchvisions(
    change: Callable[[Tensor, Tensor], Tensor],
    theirs: Callable[[Tensor, float], Tensor],
    ends: tuple[float, float],
) -> None:
    images = smooth()
    images[0] = images[0, :1]  # grey
    factors = torch.linspace(*ends, COUNT)
    found = as_images(change(as_levels(images), factors))
    for image, factor, view in zip(images, factors.tolist(), found, strict=True):
        assert furthest(view, theirs(image, factor)) <= 2
    if change is not colour.hue:
        still = as_images(change(as_levels(images), torch.ones(COUNT)))
        assert torch.equal(still, images)
    else:
        assert torch.equal(as_images(change(as_levels(images), torch.zeros(COUNT))), images)


@pytest.mark.parametrize("bicubic", [False, True])
def test_crops_are_resized_as_pillow_does(bicubic: bool) -> None:
    images = smooth()
    top, left, height, width = crop_places(numbers(COUNT, 22), SIZE)
    rows, columns = (
        crop_weights(*place, SIZE, bicubic=bicubic) for place in ((top, height), (left, width))
    )
    found = as_images(resample(as_levels(images), columns, rows))
    filtered = Image.Resampling.BICUBIC if bicubic else Image.Resampling.BILINEAR
    places = torch.stack((top, left, height, width), 1).tolist()
    for image, (y, x, high, wide), view in zip(images, places, found, strict=True):
        crop = functional.to_pil_image(image).crop((x, y, x + wide, y + high))
        wanted = functional.pil_to_tensor(crop.resize((SIZE, SIZE), filtered))
        assert furthest(view, wanted) <= 2  # where a half was rounded before the second pass
        assert (view.float() - wanted.float()).abs().mean() < 0.25
    assert len({tuple(place) for place in places}) > COUNT / 2


def test_blurs_are_torchvisions() -> None:
    images, deviations = smooth(), torch.linspace(0.1, 2, COUNT)
    for radius in (1, 3, 11):
        matrices = blur_weights(deviations, radius, SIZE)
        found = as_images(resample(as_levels(images), matrices, matrices))
        for image, deviation, view in zip(images, deviations.tolist(), found, strict=True):
            wanted = functional.gaussian_blur(image, [2 * radius + 1] * 2, [deviation] * 2)
            assert furthest(view, wanted) <= 1


def test_crops_are_drawn_as_torchvision_draws_them() -> None:
    count = 2000
    ours = torch.stack(crop_places(numbers(count, 22), 64), 1).numpy()
    image = torch.zeros(3, 64, 64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = np.array(
            [
                transforms.RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3])
                for _ in range(count)
            ]
        )
    top, left, height, width = ours.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height).max() <= 64
    assert (left + width).max() <= 64
    for place in range(4):
        assert stats.ks_2samp(ours[:, place], theirs[:, place]).pvalue > 1e-3
    shares = ours[:, 2] / ours[:, 3], theirs[:, 2] / theirs[:, 3]
    assert stats.ks_2samp(*shares).pvalue > 1e-3


def test_a_crop_that_never_fits_is_the_whole_image() -> None:
    wide = torch.zeros(1, 22, dtype=torch.float64)
    wide[:, :10] = 0.999  # areas as large as the image
    wide[:, 10:20] = 0.999  # and a third wider than high
    assert [int(place) for place in crop_places(wide, 64)] == [0, 0, 64, 64]


@pytest.mark.parametrize("bicubic", [False, True])
def test_nothing_drawn_leaves_images_as_they_are(bicubic: bool) -> None:
    images, still = smooth(), torch.full((COUNT, 32), 0.99, dtype=torch.float64)
    still[:, 10:20] = 0.999  # no crop fits
    assert torch.equal(SimCLR(bicubic).views(images, still), images)
    still[:, 22] = 0  # flipped
    assert torch.equal(SimCLR(bicubic).views(images, still), images.flip(-1))


def composed(image: Tensor, blur: bool) -> Callable[[], Tensor]:
    """The augmentations of torchvision, drawn from the global generator."""
    size = image.shape[-1]
    steps: list[Any] = [
        v2.RandomResizedCrop(size, antialias=True),
        v2.RandomHorizontalFlip(),
        v2.RandomApply([v2.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.8),
        v2.RandomGrayscale(0.2),
    ]
    if blur:
        steps.append(v2.RandomApply([v2.GaussianBlur(max(3, size // 10 | 1), (0.1, 2.0))], 0.5))
    together = v2.Compose(steps)
    return lambda: together(image)


@pytest.mark.parametrize("blurred", [False, True])
def test_views_are_distributed_as_torchvisions(blurred: bool) -> None:
    count = 1500
    image = smooth(1)[0]
    ours = SimCLR(blurred=blurred).views(image.expand(count, -1, -1, -1), numbers(count))
    draw = composed(image, blurred)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = torch.stack([draw() for _ in range(count)])
    for fact in (
        lambda views: views.mean((1, 2, 3)),
        lambda views: views.std((2, 3)).mean(1),
        lambda views: (views.amax(1) - views.amin(1)).mean((1, 2)),
        lambda views: (views[..., 1:] - views[..., :-1]).abs().mean((1, 2, 3)),
        lambda views: (views[:, 0] - views[:, 2]).mean((1, 2)),
        lambda views: (views - views.flip(-1))[..., : SIZE // 2].mean((1, 2, 3)),
    ):
        sides = [fact(views.float()).numpy() for views in (ours, theirs)]
        assert stats.ks_2samp(*sides).pvalue > 1e-3
    grey = ((ours.amax(1) - ours.amin(1)).flatten(1).amax(1) == 0).float().mean()
    assert math.isclose(grey, 0.2, abs_tol=0.06)


def test_a_view_does_not_depend_on_its_batch() -> None:
    images, drawn = smooth(150, 32), numbers(150)
    for augmentation in (SimCLR(), SimCLR(bicubic=True, blurred=False)):
        whole = augmentation.views(images, drawn)
        assert whole.dtype == torch.uint8
        assert whole.is_contiguous(memory_format=torch.channels_last)
        places = torch.tensor([149, 3, 3, 77])
        assert torch.equal(augmentation.views(images[places], drawn[places]), whole[places])
        for one in (0, 64, 140):
            some = slice(one, one + 1)
            assert torch.equal(augmentation.views(images[some], drawn[some]), whole[some])
