"""Raw latents sampled from a seed, by the marginal distribution of a latent space.

Row i of a split depends only on (seed, split, i), so a small data set is the prefix of a large
one. The latent space defines the columns of a row and their meaning, see
:mod:`threedident.latents.spaces`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from threedident.latents.philox import uniforms
from threedident.latents.spaces import find_space
from threedident.runtime.errors import unknown

if TYPE_CHECKING:
    pass

SPLITS = ("train", "test")
_LATENT_STREAM = 0


def sample_raw(
    seed: int, split: str, n: int, space: str = "box", fixed: Mapping[str, float] | None = None
) -> NDArray[np.float32]:
    """The first ``n`` raw latents of a split.

    Arguments:
        seed: from 0 to 2^63 - 1.
        split: ``train`` or ``test``.
        n: number of rows.
        space: name of the latent space.
        fixed: raw value in [-1, 1] of each fixed factor. All other factors keep the values that
            they have without it.

    Returns:
        Shape (n, columns of the space). In the box this is (n, 10), in [-1, 1].

    Raises:
        ValueError: the space or split does not exist, or the factors cannot be fixed like this.
    """
    where = find_space(space)
    u = uniforms(seed, stream(_LATENT_STREAM, split), np.arange(n), where.count)
    return where.sample(u, fixed or {})


def to_physical(raw: ArrayLike, space: str = "box") -> NDArray[np.float32]:
    """Physical latents of raw ones, shape (N, 10), lengths in Blender units, angles in rad."""
    return find_space(space).physical(raw)


def check_raw(raw: NDArray[np.generic], name: str, space: str = "box") -> NDArray[np.float32]:
    """Checked raw latents as float32.

    Arguments:
        raw: shape (N, columns of the space) with N >= 1, finite, in the space.
        name: name of the array in error messages.
        space: name of the latent space.

    Raises:
        ValueError: the array does not meet these conditions. The message names the first bad
            entry.
    """
    return find_space(space).check(raw, name)


def stream(use: int, split: str) -> tuple[int, int]:
    """The argument ``stream`` of :func:`~threedident.latents.philox.uniforms` for one split.

    Arguments:
        use: number of the purpose; each purpose has random numbers of its own.
        split: ``train`` or ``test``.

    Raises:
        ValueError: there is no such split.
    """
    if split not in SPLITS:
        raise ValueError(unknown("split", split, SPLITS))
    return use, SPLITS.index(split)
