r"""Sums over all similarities between two sets of codes, computed in blocks.

The sums are log-sum-exp,

    r_i = log sum_j exp(s(u_i, w_j) / t)

and sums of a curve c, such as softplus,

    r_i = sum_j c(s(u_i, w_j) / t + b)

for the B rows u_i of u, summed over the M rows w_j of w. Chosen pairs (i, j) are left out. Memory
holds only some rows of the B x M similarities at a time, in the forward and the backward pass.
The forward pass computes a block, reduces it and discards it. The backward pass computes the block
again for the gradient. That of log-sum-exp is a softmax,

    dr_i = sum_j exp(s(u_i, w_j) / t - r_i) ds(u_i, w_j) / t.

The similarity computes the content of a block and the gradient of its weighted sum.

References:
    Deep Learning with Limited Memory: Scaling Deep Contrastive Learning Batch Size under Memory
    Limited Setup, Gao, Zhang, Han, Callan, 2021, https://arxiv.org/abs/2101.06983
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor
from torch.autograd import Function

from benchmark.losses.similarities import Similarity

T = TypeVar("T")

# Elements of a block. On a CPU each thread works on about three blocks at once. Larger blocks do
# not fit into its cache; smaller blocks spend most time on starting operations. A GPU needs few
# kernel launches, so its blocks are larger.
_CPU_ELEMENTS = 2**19
_GPU_ELEMENTS = 2**26


def log_sum_exp(
    u: Tensor, w: Tensor, similarity: Similarity, temperature: float, skipped: tuple[int, ...] = ()
) -> Tensor:
    """For each row u_i of u, the log of the sum over rows w_j of exp(s(u_i, w_j) / temperature).

    The gradient is exact. Second derivatives raise RuntimeError.

    Arguments:
        u: codes, shape (B, n), float32 or float64.
        w: codes, shape (M, n), with the type and device of u.
        similarity: the similarity s.
        temperature: positive number.
        skipped: numbers m from 0 to M - B. For each m, row m + i of w is left out for row i of u.

    Returns:
        The logarithms, shape (B,).
    """
    sums: Tensor = _LogSumExp.apply(
        u, w, similarity, temperature, skipped, *similarity.parameters()
    )
    return sums


class Curve(NamedTuple):
    """A function of one number, which is 0 at -inf, and its derivative.

    Arguments:
        value: the function, for a tensor of any shape; it may overwrite the tensor.
        slope: the derivative, likewise.
    """

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]


def row_sums(
    u: Tensor,
    w: Tensor,
    similarity: Similarity,
    temperature: float,
    skipped: tuple[int, ...],
    curve: Curve,
    offset: Tensor,
) -> Tensor:
    """For each row u_i of u, the sum over rows w_j of curve(s(u_i, w_j) / temperature + offset).

    The gradient is exact. Second derivatives raise RuntimeError.

    Arguments:
        u: codes, shape (B, n), float32 or float64.
        w: codes, shape (M, n), with the type and device of u.
        similarity: the similarity s.
        temperature: positive number.
        skipped: see :func:`log_sum_exp`.
        curve: the function that is summed.
        offset: a number b, shape (). Gradients flow to it.

    Returns:
        The sums, shape (B,).
    """
    settings = similarity, temperature, skipped, curve
    sums: Tensor = _RowSums.apply(u, w, offset, settings, *similarity.parameters())
    return sums


class _RowSums(Function):
    @staticmethod
    def forward(
        ctx: Any, u: Tensor, w: Tensor, offset: Tensor, settings: Any, *parameters: Tensor
    ) -> Tensor:
        *block_settings, curve = settings
        sums, columns = u.new_empty(len(u)), _by_coordinate(w)

        def reduce(rows: slice) -> None:
            block = _block(u, columns, rows, *block_settings).add_(offset)
            sums[rows] = curve.value(block).sum(dim=1)

        for _ in _each(reduce, _slices(u, w), u.device):
            pass
        ctx.save_for_backward(u, w, offset, *parameters)
        ctx.settings = settings
        return sums

    @staticmethod
    def backward(ctx: Any, weights: Tensor) -> Any:
        u, w, offset, *parameters = ctx.saved_tensors
        found = _RowGradient.apply(weights, u, w, offset, ctx.settings, *parameters)
        return *found[:3], None, *found[3:]


class _RowGradient(Function):
    """The gradient of :class:`_RowSums`; see :class:`_Gradient`."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ARG004
        weights: Tensor,
        u: Tensor,
        w: Tensor,
        offset: Tensor,
        settings: Any,
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        similarity, temperature, skipped, curve = settings
        columns, from_u = _by_coordinate(w), torch.empty_like(u)
        others = [torch.zeros_like(each) for each in (columns, *parameters, offset)]

        def pull(rows: slice) -> list[Tensor]:
            block = _block(u, columns, rows, similarity, temperature, skipped).add_(offset)
            block = curve.slope(block).mul_(weights[rows, None])
            total = block.sum()
            from_u[rows], *found = similarity.pull(u[rows], columns, block.div_(temperature))
            return [*found, total]

        for found in _each(pull, _slices(u, w), u.device):
            for total, part in zip(others, found, strict=True):
                total.add_(part)
        from_w, *from_parameters, from_offset = others
        return from_u, from_w, from_offset, *from_parameters

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        return _Gradient.backward(ctx, *_)


class _LogSumExp(Function):
    @staticmethod
    def forward(
        ctx: Any,
        u: Tensor,
        w: Tensor,
        similarity: Similarity,
        temperature: float,
        skipped: tuple[int, ...],
        *parameters: Tensor,
    ) -> Tensor:
        sums, columns = u.new_empty(len(u)), _by_coordinate(w)

        def reduce(rows: slice) -> None:
            block = _block(u, columns, rows, similarity, temperature, skipped)
            # the maximum is kept finite, so that a row of -inf sums to 0 and not to nan
            top = block.amax(dim=1, keepdim=True).clamp_(min=torch.finfo(u.dtype).min)
            sums[rows] = block.sub_(top).exp_().sum(dim=1).log_().add_(top[:, 0])

        for _ in _each(reduce, _slices(u, w), u.device):
            pass
        ctx.save_for_backward(u, w, sums, *parameters)
        ctx.settings = similarity, temperature, skipped
        return sums

    @staticmethod
    def backward(ctx: Any, weights: Tensor) -> Any:
        u, w, sums, *parameters = ctx.saved_tensors
        found = _Gradient.apply(weights, u, w, sums, ctx.settings, *parameters)
        return *found[:2], None, None, None, *found[2:]


class _Gradient(Function):
    """The gradient as a separate function, so that every second derivative raises an error."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ARG004
        weights: Tensor,
        u: Tensor,
        w: Tensor,
        sums: Tensor,
        settings: tuple[Similarity, float, tuple[int, ...]],
        *parameters: Tensor,
    ) -> tuple[Tensor, ...]:
        similarity, temperature, skipped = settings
        columns = _by_coordinate(w)
        from_u = torch.empty_like(u)
        others = [torch.zeros_like(columns), *map(torch.zeros_like, parameters)]
        sums = sums.clamp(min=torch.finfo(u.dtype).min)

        def pull(rows: slice) -> list[Tensor]:
            block = _block(u, columns, rows, similarity, temperature, skipped)
            block.sub_(sums[rows, None]).exp_().mul_(weights[rows, None] / temperature)
            from_u[rows], *found = similarity.pull(u[rows], columns, block)
            return found

        for found in _each(pull, _slices(u, w), u.device):
            for total, part in zip(others, found, strict=True):
                total.add_(part)
        return from_u, *others

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:  # noqa: ARG004
        raise RuntimeError(
            "loss: expected to be differentiated once, found a second derivative; "
            "differentiate a sum over all pairs that autograd records instead"
        )


def _by_coordinate(codes: Tensor) -> Tensor:
    """The same codes in memory order by coordinate: each coordinate is contiguous."""
    return codes.T.contiguous().T


def _slices(u: Tensor, w: Tensor) -> list[slice]:
    """Slices of the rows of u, one for each block."""
    height = max(1, _elements(u.device) // len(w))
    return [slice(start, start + height) for start in range(0, len(u), height)]


def _elements(device: torch.device) -> int:
    return _CPU_ELEMENTS if device.type == "cpu" else _GPU_ELEMENTS


def _block(
    u: Tensor,
    w: Tensor,
    rows: slice,
    similarity: Similarity,
    temperature: float,
    skipped: tuple[int, ...],
) -> Tensor:
    """s(u_i, w_j) / temperature for some rows of u; -inf for skipped pairs."""
    block = similarity.crossed(u[rows], w)
    if temperature != 1:
        block.div_(temperature)
    for place in skipped:
        block.diagonal(place + rows.start).fill_(-math.inf)
    return block


def _each(
    work: Callable[[slice], T], blocks: Sequence[slice], device: torch.device
) -> Iterator[T]:
    """Results of ``work`` for every block, in order.

    On a CPU each thread processes whole blocks. If all threads shared each of the thousands of
    short operations, they would wait for the slowest thread after every operation. On a busy
    machine this waiting took many times longer than the computation.
    """

    def alone(rows: slice) -> T:
        # both settings apply to the current thread only
        with torch.no_grad(), torch.autocast(device.type, enabled=False):
            return work(rows)

    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1:
        yield from map(alone, blocks)
        return
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(min(threads, len(blocks))) as pool:
            yield from pool.map(alone, blocks)
    finally:
        torch.set_num_threads(threads)
