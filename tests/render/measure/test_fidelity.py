from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from render.measure.fidelity import compare, psnr, ssim

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (40, 50, 3)).astype(np.uint8)
SMOOTH = np.tile(np.linspace(0, 255, 50).astype(np.uint8)[None, :, None], (40, 1, 3))


def noisy(image: np.ndarray, level: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, level, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("error", [1, 3, 40])
def test_a_constant_error_has_the_psnr_of_its_square(error: int) -> None:
    image = IMAGE // 2
    found = compare(image + np.uint8(error), image)
    assert found.psnr == pytest.approx(20 * math.log10(255 / error))
    assert found.largest_error == error


@pytest.mark.parametrize(("a", "b"), [(0, 255), (10, 20), (200, 100)])
def test_of_flat_images_only_the_luminance_differs(a: int, b: int) -> None:
    flat = [np.full((20, 20, 3), value, np.uint8) for value in (a, b)]
    stabiliser = (0.01 * 255) ** 2
    assert ssim(*flat) == pytest.approx((2 * a * b + stabiliser) / (a**2 + b**2 + stabiliser))


def test_more_noise_is_less_alike() -> None:
    found = [compare(noisy(SMOOTH, level), SMOOTH) for level in (0.5, 3, 40)]
    for one, other in pairwise(found):
        assert one.psnr > other.psnr
        assert one.ssim > other.ssim


def test_equal_images() -> None:
    found = compare(IMAGE, IMAGE)
    assert (found.psnr, found.largest_error) == (math.inf, 0)
    assert found.ssim == pytest.approx(1)


def test_largest_error_does_not_wrap() -> None:
    black, white = np.zeros((20, 20, 3), np.uint8), np.full((20, 20, 3), 255, np.uint8)
    assert compare(black, white).largest_error == compare(white, black).largest_error == 255
    assert psnr(black, white) == pytest.approx(0)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="expected shape"):
        compare(IMAGE, IMAGE[:20])
