"""Similarity of two images: PSNR, SSIM and the largest error, on 8-bit sRGB values.

- PSNR = 10 log10(255^2 / mean squared error), over all pixels and channels, in dB.
- SSIM is the mean over pixels and channels of the index of Wang et al. with their Gaussian
  window (standard deviation 1.5, 11 x 11 pixels, K1 = 0.01, K2 = 0.03). Pixels whose window
  crosses the border are left out.

References:
    Image Quality Assessment: From Error Visibility to Structural Similarity, Wang, Bovik, Sheikh,
    Simoncelli, 2004, https://doi.org/10.1109/TIP.2003.819861
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image8 = NDArray[np.uint8]


@dataclass(frozen=True)
class Fidelity:
    """Similarity of an image to its reference.

    Arguments:
        psnr: peak signal-to-noise ratio in dB.
        ssim: structural similarity; 1 for equal images.
        largest_error: largest absolute difference of a channel, 0..255.
    """

    psnr: float
    ssim: float
    largest_error: int


def compare(image: Image8, reference: Image8) -> Fidelity:
    """The fidelity of an image, shape (H, W, 3), to a reference of the same shape.

    Raises:
        ValueError: the shapes differ.
    """
    if image.shape != reference.shape:
        raise ValueError(f"image: expected shape {reference.shape}, found {image.shape}")
    largest = np.abs(image.astype(np.int16) - reference).max()
    return Fidelity(psnr(image, reference), ssim(image, reference), int(largest))


def psnr(image: Image8, reference: Image8) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal images."""
    if np.array_equal(image, reference):
        return math.inf
    from skimage.metrics import peak_signal_noise_ratio  # of the extra ``measure``

    return float(peak_signal_noise_ratio(reference, image, data_range=255))


def ssim(image: Image8, reference: Image8) -> float:
    """Structural similarity of images of shape (H, W, 3), each edge above 10 pixels."""
    from skimage.metrics import structural_similarity

    found = structural_similarity(
        image.astype(np.float64),
        reference.astype(np.float64),
        data_range=255,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return float(found)
