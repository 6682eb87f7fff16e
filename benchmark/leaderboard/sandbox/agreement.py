"""Checks of codes: a code must depend only on its own image, and vary by more than rounding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.sandbox.sandbox import Limits, Pass, execute

ROUNDING = 1e-6  # rounding error relative to the magnitude of a code
TOLERANCE = 1e-4  # allowed difference relative to the standard deviation of a code
_MOST_ROUNDING = 1e-3  # upper limit of the rounding error, relative to the standard deviation
_DROWNED = 1e-4  # least standard deviation of a code relative to its magnitude


def agreeing_codes(
    model: bytes,
    images: NDArray[np.uint8],
    submitted: NDArray[np.float32],
    name: str,
    limits: Limits,
) -> NDArray[np.float32]:
    """Codes of a model, after a check that they do not depend on other images in the batch.

    Batches of 1, of 64, and of 64 shuffled images must give the same codes, within 1e-4 of the
    standard deviation of a code. A larger difference is allowed if it is a rounding error of
    float32, up to 1e-3 of the standard deviation of the submitted codes.

    Arguments:
        model: content of an ONNX file.
        images: images, shape (N, H, H, 3).
        submitted: submitted codes of the test split, shape (M, codes).
        name: name of the model in messages.
        limits: limits of time and memory.

    Returns:
        Codes, shape (N, codes).

    Raises:
        ValueError: the codes of the batches differ, or for the same reasons as :func:`execute`.
    """
    shuffled = np.random.default_rng(len(images)).permutation(len(images)).tolist()
    ways = {"64 shuffled": Pass(64, shuffled), "1": Pass(1)}
    passes, codes = [Pass(64), *ways.values()], submitted.shape[1]
    whole, *others = execute(model, images, codes, passes, name, limits)
    exact, spread = whole.astype(np.float64), submitted.std(axis=0, dtype=np.float64)
    rounding, here = ROUNDING * np.abs(exact).max(axis=0), exact.std(axis=0)
    granted = np.where(spread > 0.0, np.minimum(rounding, _MOST_ROUNDING * spread), rounding)
    allowed = np.maximum(TOLERANCE * here, granted)
    for way, other in zip(ways, others, strict=True):
        distance = np.abs(other - exact)
        if not (distance <= allowed).all():
            apart = float((distance / np.maximum(here, 1e-300)).max())
            raise ValueError(
                f"{name}: expected codes that depend only on their own image, found those of "
                f"batches of 64 and of {way} to differ by {apart:.2g} standard deviations, more "
                f"than {TOLERANCE:g}; export in eval mode"
            )
    return whole


def require_spread(codes: NDArray[np.float32], name: str) -> None:
    """Check that the variation of each code is not too small for its magnitude.

    Arguments:
        codes: shape (N, n).
        name: name of the codes in messages.

    Raises:
        ValueError: the standard deviation of a code is below 1e-4 of its largest value, and not 0.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # the scorer refuses infinite codes
        spread, most = codes.std(axis=0, dtype=np.float64), np.abs(codes).max(axis=0)
    for code in np.flatnonzero((spread > 0.0) & (spread < _DROWNED * most)):
        raise ValueError(
            f"{name}: expected codes that vary by {_DROWNED:g} of their magnitude at least, found "
            f"code {code} with standard deviation {spread[code]:.2g} and magnitude "
            f"{most[code]:.2g}; take the offset out of the encoder and of its codes"
        )
