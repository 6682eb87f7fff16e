from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from render.measure.fidelity import compare, psnr, ssim

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (40, 50, 3)).astype(np.uint8)
SMOOTH = np.tile(np.linspace(0, 255, 50).astype(np.uint8)[None, :, None], (40, 1, 3))


def noisy(image: np.ndarray, level: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0, level, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("image", [IMAGE, SMOOTH])
@pytest.mark.parametrize("level", [0.5, 3, 40])
def test_agrees_with_scikit_image(image: np.ndarray, level: float) -> None:
    other = noisy(image, level)
    expected = structural_similarity(
        image,
        other,
        channel_axis=2,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(other, image) == pytest.approx(expected, abs=1e-6)
    assert psnr(other, image) == pytest.approx(peak_signal_noise_ratio(image, other))


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
