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
from scipy.ndimage import gaussian_filter

Image8 = NDArray[np.uint8]

_SIGMA, _RADIUS = 1.5, 5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


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
    error = float(((image.astype(np.float64) - reference) ** 2).mean())
    return 10.0 * math.log10(255.0**2 / error) if error else math.inf


def ssim(image: Image8, reference: Image8) -> float:
    """Structural similarity of images, shape (H, W, 3), with more than 10 pixels per edge."""
    a, b = image.astype(np.float64), reference.astype(np.float64)
    mean_a, mean_b = _blur(a), _blur(b)
    var_a, var_b = _blur(a * a) - mean_a**2, _blur(b * b) - mean_b**2
    cov = _blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    structure = (2 * cov + _C2) / (var_a + var_b + _C2)
    return float((luminance * structure)[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS].mean())


def _blur(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted means of each channel with the Gaussian window."""
    return np.asarray(gaussian_filter(values, (_SIGMA, _SIGMA, 0), radius=(_RADIUS, _RADIUS, 0)))
