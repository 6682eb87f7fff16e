"""Counter-based random numbers: uniforms that depend only on (seed, stream, epoch, row).

Philox-4x64-10 turns a counter and a key into four random words without any state. Row i is
therefore the same whether it is drawn alone, in a batch, in another process or on a GPU. The
words are those of :class:`numpy.random.Philox`. This module exists because numpy cannot compute
the words of many counters at once.

References:
    Parallel Random Numbers: As Easy as 1, 2, 3, Salmon, Moraes, Dror, Shaw, 2011,
    https://doi.org/10.1145/2063384.2063405
"""

from __future__ import annotations

import operator
import reprlib
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from threedident.runtime.arrays import fails, is_tensor, namespace

if TYPE_CHECKING:
    import torch

SEEDS = 2**63  # seeds are smaller, so that every file format and library can hold them
_ROUNDS = 10
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
_MASK64 = (1 << 64) - 1
_MANTISSA = (1 << 52) - 1
_LOW = (1 << 32) - 1
_HALF = np.uint64(32)


def check_seed(seed: Any) -> int:
    """A seed as an integer, checked.

    Raises:
        ValueError: the seed is not an integer from 0 to 2^63 - 1.
    """
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number < SEEDS:
        raise ValueError(
            f"seed: expected an integer from 0 to 2^63 - 1, found {reprlib.repr(seed)}; give one"
        )
    return number


def _signed(word: int) -> int:
    """The int64 with the same bits."""
    return word - ((word >> 63) << 64)


def _upper(words: Any) -> Any:
    """The upper 32 bits of each word, as numbers below 2^32."""
    if isinstance(words, np.ndarray):
        return words >> _HALF
    return (words >> 32) & _LOW  # int64 shifts copy the sign bit; the mask removes it


def _multiply(factor: tuple[Any, Any, Any, Any], b: Any) -> tuple[Any, Any]:
    """High and low 64 bits of the 128-bit products of a factor and ``b``."""
    a_low, a_high, a, mask = factor
    b_low, b_high = b & mask, _upper(b)
    middle = a_high * b_low + _upper(a_low * b_low)
    cross = a_low * b_high + (middle & mask)
    return a_high * b_high + _upper(middle) + _upper(cross), a * b


def philox(key: tuple[int, int], c0: Any, c1: Any, c2: Any, c3: Any) -> tuple[Any, Any, Any, Any]:
    """The Philox-4x64-10 block cipher.

    Arguments:
        key: two 64-bit words.
        c0: first word of the counters, an array of uint64, or a tensor of int64 with its bits.
        c1: second word; all four broadcast.
        c2: third word.
        c3: fourth word.

    Returns:
        The four random words of the counters, each of the same type.
    """
    word: Any = np.uint64 if isinstance(c0, np.ndarray) else _signed
    first, second = (tuple(map(word, (a & _LOW, a >> 32, a, _LOW))) for a in _MULTIPLIERS)
    k0, k1 = key
    for _ in range(_ROUNDS):
        high0, low0 = _multiply(first, c0)
        high1, low1 = _multiply(second, c2)
        c0, c1, c2, c3 = high1 ^ c1 ^ word(k0), low1, high0 ^ c3 ^ word(k1), low0
        k0, k1 = (k0 + _WEYL[0]) & _MASK64, (k1 + _WEYL[1]) & _MASK64
    return c0, c1, c2, c3


@overload
def uniforms(
    seed: int, stream: tuple[int, ...], rows: torch.Tensor, count: int, *, epochs: Any = 0
) -> torch.Tensor: ...
@overload
def uniforms(
    seed: int, stream: tuple[int, ...], rows: ArrayLike, count: int, *, epochs: Any = 0
) -> NDArray[np.float64]: ...
def uniforms(seed: int, stream: tuple[int, ...], rows: Any, count: int, *, epochs: Any = 0) -> Any:
    """Uniform numbers in the open interval (0, 1), addressed by row.

    Arguments:
        seed: from 0 to 2^63 - 1.
        stream: separates uses of one seed, such as the train and the test split.
        rows: non-negative integers, shape (N,).
        count: numbers per row.
        epochs: separates repeated draws for one row: a non-negative integer, or one for each
            row, shape (N,), of the same type as ``rows``.

    Returns:
        Shape (N, count), float64. If ``rows`` is a tensor, the result is a tensor on its device
        with the same bits. The first numbers of a row do not depend on ``count``.

    Raises:
        ValueError: rows are negative or not integers, or the seed is out of range. Rows on a GPU
            are not read, and may be negative.
    """
    key = np.random.SeedSequence(check_seed(seed), spawn_key=stream).generate_state(2, np.uint64)
    index = _row_words(rows)
    xp, blocks = namespace(index), -(-count // 4)
    like = {"device": index.device} if is_tensor(index) else {}
    # the first rounds of Philox are few operations, since rows, blocks and epochs broadcast
    block = xp.arange(blocks, dtype=index.dtype, **like)[None]
    zero = xp.zeros((1, 1), dtype=index.dtype, **like)
    counter = block, index[:, None], zero + _epoch_words(epochs, index), zero
    numbers = xp.empty((len(index), blocks, 4), dtype=xp.float64, **like)
    for place, words in enumerate(philox((int(key[0]), int(key[1])), *counter)):
        numbers[:, :, place] = (words >> 12) & _MANTISSA
    numbers += 0.5
    numbers *= 2.0**-52
    return numbers.reshape(len(index), 4 * blocks)[:, :count]


def _epoch_words(epochs: Any, like: Any) -> Any:
    """Epochs as words, in a shape that broadcasts over the blocks of each row."""
    if isinstance(epochs, int):
        return epochs if is_tensor(like) else np.uint64(epochs)
    return epochs[:, None] if is_tensor(epochs) else np.asarray(epochs, np.uint64)[:, None]


def _row_words(rows: Any) -> Any:
    """Checked rows as words: a numpy array of uint64, or a tensor of int64."""
    index: Any = rows if is_tensor(rows) else np.asarray(rows)
    if index.ndim != 1:
        raise ValueError(
            f"rows: expected shape (N,), found {tuple(index.shape)}; for one row use [row]"
        )
    if len(index) and "int" not in str(index.dtype):
        raise ValueError(f"rows: expected integers, found {index.dtype}; convert them")
    if fails(index >= 0):
        raise ValueError(
            f"rows: expected non-negative integers, found {int(index.min())}; count from 0"
        )
    return index.long() if is_tensor(index) else index.astype(np.uint64)
