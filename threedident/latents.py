"""Latents: drawing raw rows from the marginal, checking them, and raw -> physical.

The marginal is uniform on the box [-1, 1]^10. Row i depends only on (seed, split, i), so a
small data set is the prefix of a large one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from threedident.counter import uniforms
from threedident.factors import FACTORS, NAMES

SPLITS = ("train", "test")
_LATENT_STREAM = 0


def sample_raw(seed: int, split: str, n: int) -> NDArray[np.float32]:
    """The first ``n`` raw latents of a split.

    Returns:
        Shape (n, 10), in [-1, 1].
    """
    stream = (_LATENT_STREAM, SPLITS.index(split))
    u = uniforms(seed, stream, np.arange(n), len(FACTORS))
    raw: NDArray[np.float32] = (2.0 * u - 1.0).astype(np.float32)
    return raw


def to_physical(raw: ArrayLike) -> NDArray[np.float32]:
    """Physical latents (lengths in Blender units, angles in rad) of raw ones, shape (N, 10)."""
    reach = np.array([factor.reach for factor in FACTORS])
    physical: NDArray[np.float32] = (np.asarray(raw, np.float64) * reach).astype(np.float32)
    return physical


def check_raw(raw: NDArray[np.generic], name: str) -> NDArray[np.float32]:
    """Raw latents as float32, checked.

    Arguments:
        raw: shape (N, 10) with N >= 1, finite, in [-1, 1].
        name: what messages call the array.

    Raises:
        ValueError: the array is none of that; the message names the first bad entry.
    """
    columns = len(FACTORS)
    if raw.ndim != 2 or raw.shape[1] != columns or len(raw) == 0:
        raise ValueError(
            f"{name}: expected an array of shape (N, {columns}) with one column per factor "
            f"({', '.join(NAMES)}), found shape {raw.shape}; give one row per image"
        )
    if not np.issubdtype(raw.dtype, np.number) or np.iscomplexobj(raw):
        raise ValueError(f"{name}: expected real numbers, found dtype {raw.dtype}; use float32")
    bad = np.argwhere(~(np.abs(raw.astype(np.float64)) <= 1.0))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"{name}: expected finite raw latents in [-1, 1], found {raw[row, column]} in row "
            f"{row}, column {column} ({NAMES[column]}), and {len(bad) - 1} more; raw latents are "
            "the physical ones divided by their reach"
        )
    return np.ascontiguousarray(raw, dtype=np.float32)
