r"""The log-sum-exp of all similarities between two sets of codes, block by block.

    r_i = log sum_j exp(s(u_i, w_j) / t)

over the B rows of u and the M rows of w, with chosen pairs (i, j) left out. Only some rows of
the B x M similarities exist at a time, forward and backward: a block is computed, reduced and
dropped, and computed again for the gradient, which is that of a softmax,

    dr_i = sum_j exp(s(u_i, w_j) / t - r_i) ds(u_i, w_j) / t.

What a block holds and how a weighted sum of it is differentiated is the similarity's to say.

References:
    Deep Learning with Limited Memory: Scaling Deep Contrastive Learning Batch Size under Memory
    Limited Setup, Gao, Zhang, Han, Callan, 2021, https://arxiv.org/abs/2101.06983
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd import Function

from benchmark.losses.similarities import Similarity

T = TypeVar("T")

# Elements of a block. On a CPU some three blocks of a thread are at work at once: larger ones
# leave its cache, smaller ones spend their time on starting operations; a GPU wants few launches.
_CPU_ELEMENTS = 2**19
_GPU_ELEMENTS = 2**26


def log_sum_exp(
    u: Tensor, w: Tensor, similarity: Similarity, temperature: float, skipped: tuple[int, ...] = ()
) -> Tensor:
    """Log of the sum over rows of w of exp(s(u_i, w_j) / temperature), for each row of u.

    Its gradient is exact; second derivatives raise RuntimeError.

    Arguments:
        u: codes, shape (B, n), float32 or float64.
        w: codes, shape (M, n), of u's type and on its device.
        similarity: s.
        temperature: positive.
        skipped: for each number m here, row m + i of w is left out for row i of u; m is from 0
            to M - B.

    Returns:
        Shape (B,).
    """
    sums: Tensor = _LogSumExp.apply(
        u, w, similarity, temperature, skipped, *similarity.parameters()
    )
    return sums


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
            # finite, so that a row of -inf has the sum 0 and not nan
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
    """A function of its own, so that who differentiates it again is told, whatever they ask of."""

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
            "InfoNCE: expected to be differentiated once, found a second derivative; "
            "differentiate a sum over all pairs that autograd records instead"
        )


def _by_coordinate(codes: Tensor) -> Tensor:
    """The same codes, each coordinate contiguous."""
    return codes.T.contiguous().T


def _slices(u: Tensor, w: Tensor) -> list[slice]:
    """The rows of u that are at work at once."""
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
    """s(u_i, w_j) / temperature of some rows of u, -inf where pairs are skipped."""
    block = similarity.crossed(u[rows], w)
    if temperature != 1:
        block.div_(temperature)
    for place in skipped:
        block.diagonal(place + rows.start).fill_(-math.inf)
    return block


def _each(
    work: Callable[[slice], T], blocks: Sequence[slice], device: torch.device
) -> Iterator[T]:
    """What ``work`` makes of every block, in order.

    On a CPU each of torch's threads takes whole blocks. Had they to meet after each of thousands
    of short operations, all would wait for whichever the machine holds up: on a busy one that
    took many times the work itself.
    """

    def alone(rows: slice) -> T:
        # both are settings of a thread
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
