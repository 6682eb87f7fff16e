"""Randomness by address: uniform numbers that depend only on (seed, stream, row).

Philox-4x64-10 turns a counter and a key into four random words without any state, so row i
is the same whether it is drawn alone, in a batch or in another process. The words are those
of :class:`numpy.random.Philox`; numpy itself offers no random access to many counters at once.

References:
    Parallel Random Numbers: As Easy as 1, 2, 3, Salmon, Moraes, Dror, Shaw, 2011,
    https://doi.org/10.1145/2063384.2063405
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Words = NDArray[np.uint64]

_ROUNDS = 10
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_MASK64 = (1 << 64) - 1
_HALF = np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)


def _multiply(a: int, b: Words) -> tuple[Words, Words]:
    """High and low 64 bits of the 128-bit products ``a * b``."""
    a_low, a_high = np.uint64(a & 0xFFFFFFFF), np.uint64(a >> 32)
    b_low, b_high = b & _LOW, b >> _HALF
    low = a_low * b_low
    middle = a_high * b_low + (low >> _HALF)
    cross = a_low * b_high + (middle & _LOW)
    return a_high * b_high + (middle >> _HALF) + (cross >> _HALF), np.uint64(a) * b


def philox(key: tuple[int, int], counters: Words) -> Words:
    """The Philox-4x64-10 block cipher.

    Arguments:
        key: two 64-bit words.
        counters: shape (N, 4), uint64.

    Returns:
        Random words, shape (N, 4), uint64.
    """
    c0, c1, c2, c3 = counters.T
    k0, k1 = key
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(_MULTIPLIERS[0], c0)
        high1, low1 = _multiply(_MULTIPLIERS[1], c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ np.uint64(k0), low1, high0 ^ c3 ^ np.uint64(k1), low0
        k0, k1 = (k0 + _WEYL[0]) & _MASK64, (k1 + _WEYL[1]) & _MASK64
    return np.stack([c0, c1, c2, c3], axis=1)


def uniforms(
    seed: int, stream: tuple[int, ...], rows: ArrayLike, count: int
) -> NDArray[np.float64]:
    """Uniform numbers in the open interval (0, 1), addressed by row.

    Arguments:
        seed: any non-negative integer.
        stream: separates uses of one seed, such as the train and the test split.
        rows: non-negative integers, shape (N,).
        count: numbers per row.

    Returns:
        Shape (N, count). The first numbers of a row do not depend on ``count``.

    Raises:
        ValueError: a negative row.
    """
    key = np.random.SeedSequence(seed, spawn_key=stream).generate_state(2, np.uint64)
    signed = np.asarray(rows)
    if signed.size and signed.min() < 0:
        raise ValueError(f"rows: expected non-negative integers, found {signed.min()}")
    index = signed.astype(np.uint64)
    blocks = -(-count // 4)
    counters = np.zeros((len(index), blocks, 4), dtype=np.uint64)
    counters[..., 0] = np.arange(blocks, dtype=np.uint64)
    counters[..., 1] = index[:, None]
    words = philox((int(key[0]), int(key[1])), counters.reshape(-1, 4))
    mantissas = (words >> np.uint64(12)).reshape(len(index), 4 * blocks)[:, :count]
    return (mantissas.astype(np.float64) + 0.5) * 2.0**-52
