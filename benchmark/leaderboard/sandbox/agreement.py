"""Checks of codes: a code depends on its own image alone, and varies by more than rounding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.sandbox.sandbox import Limits, Pass, execute

ROUNDING = 1e-6  # of a code's magnitude
TOLERANCE = 1e-4  # of a code's standard deviation
_MOST_ROUNDING = 1e-3  # of the same: what rounding may be granted
_DROWNED = 1e-4  # standard deviation over magnitude, below which a code is its own rounding


def agreeing_codes(
    model: bytes,
    images: NDArray[np.uint8],
    submitted: NDArray[np.float32],
    name: str,
    limits: Limits,
) -> NDArray[np.float32]:
    """Codes that do not depend on what else is in the batch, shape (N, codes).

    Arguments:
        model: content of an ONNX file.
        images: shape (N, H, H, 3).
        submitted: its codes of the test split, shape (M, codes), whose spread bounds what
            rounding is granted.
        name: what messages call the model.
        limits: of time and memory.

    Raises:
        ValueError: batches of 1, of 64, and of 64 shuffled images do not agree within 1e-4 of a
            code's standard deviation, or the last digit or so of float32 where that is more, to
            1e-3 of it; or as :func:`execute` does.
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
                f"{name}: expected codes that depend on their own image alone, found those of "
                f"batches of 64 and of {way} apart by {apart:.2g} standard deviations, more than "
                f"{TOLERANCE:g}; export in eval mode"
            )
    return whole


def require_spread(codes: NDArray[np.float32], name: str) -> None:
    """Refuse codes whose variation is lost in their magnitude.

    Arguments:
        codes: shape (N, n).
        name: what messages call them.

    Raises:
        ValueError: a code varies, and by less than 1e-4 of its largest value.
    """
    with np.errstate(invalid="ignore", over="ignore"):  # the scorer refuses what is not finite
        spread, most = codes.std(axis=0, dtype=np.float64), np.abs(codes).max(axis=0)
    for code in np.flatnonzero((spread > 0.0) & (spread < _DROWNED * most)):
        raise ValueError(
            f"{name}: expected codes that vary by {_DROWNED:g} of their magnitude at least, found "
            f"code {code} with standard deviation {spread[code]:.2g} about {most[code]:.2g}; take "
            "the offset out of the encoder and of its codes"
        )
